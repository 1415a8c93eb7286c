"""The registry, functions of the application, and which defaults fit which column."""

from __future__ import annotations

import datetime

import pytest

from kalamdb.errors import DataError, DuplicateObject, InvalidDefinition, InvalidName
from kalamdb.functions import FunctionContext, builtin_functions, check_default, scalar_function
from kalamdb.types import BIGINT, DOUBLE, INT, JSON, TEXT, TIMESTAMP, UUID, parse_type

CONTEXT = FunctionContext(datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC), "root", "system", None)


def test_names_are_found_in_any_letter_case():
    functions = builtin_functions()

    assert functions.get("NOW") is functions.get("now")
    assert functions.get("nonsense") is None


def test_a_function_can_be_registered_and_replaced_but_no_built_in():
    functions, version = builtin_functions(), builtin_functions().version
    functions.register(scalar_function("twice", lambda x: 2 * x, ["BIGINT"], "BIGINT"))
    second = scalar_function("TWICE", lambda x: x + x, ["BIGINT"], "BIGINT", "immutable")
    functions.register(second)

    assert functions.get("twice") is second
    assert functions.version == version + 2
    assert "twice" not in builtin_functions().names()
    with pytest.raises(DuplicateObject, match="now"):
        functions.register(scalar_function("now", lambda: 1, [], "BIGINT"))


def test_a_python_function_runs_once_a_row_and_is_strict():
    calls = []
    join = scalar_function(
        "join", lambda a, b: calls.append(a) or f"{a}{b}", [TEXT, "BIGINT"], TEXT, "immutable"
    )

    assert join.evaluate(CONTEXT, 3, ["a", None, "c"], [1, 2, None]) == ["a1", None, None]
    assert calls == ["a"]
    assert scalar_function("one", lambda: 1, [], BIGINT).evaluate(CONTEXT, 3) == [1, 1, 1]


def test_what_it_raises_or_returns_wrongly_is_an_error_that_names_it():
    broken = scalar_function("broken", lambda: 1 // 0, [], BIGINT)
    wrong = scalar_function("wrong", lambda: "text", [], "BIGINT")

    with pytest.raises(DataError, match=r"function broken\(\) failed: ZeroDivisionError"):
        broken.evaluate(CONTEXT, 1)
    with pytest.raises(DataError, match=r"function wrong\(\) failed: invalid value for BIGINT"):
        wrong.evaluate(CONTEXT, 1)


def test_results_are_of_exactly_the_declared_type():
    assert scalar_function("f", lambda: {"a": 1}, [], JSON).evaluate(CONTEXT, 1) == ['{"a":1}']
    (price,) = scalar_function("g", lambda: 2, [], "DECIMAL(10, 2)").evaluate(CONTEXT, 1)
    assert str(price) == "2.00"


@pytest.mark.parametrize("name", ["", "1a", "a-b", "ä", "a" * 65, "a b", 'a"', None])
def test_names_that_sql_could_not_write_are_refused(name):
    with pytest.raises(InvalidName):
        scalar_function(name, lambda: 1, [], "BIGINT")


@pytest.mark.parametrize(
    ("function", "arguments", "result", "volatility"),
    [(5, [], "BIGINT", "volatile"), (len, ["MONEY"], "BIGINT", "volatile"), (len, [], "x;y", "volatile"),
     (len, [7], "BIGINT", "volatile"), (len, [], "BIGINT", "sometimes")],
)  # fmt: skip
def test_definitions_that_cannot_be_are_refused(function, arguments, result, volatility):
    with pytest.raises(InvalidDefinition):
        scalar_function("f", function, arguments, result, volatility)


@pytest.mark.parametrize(
    ("name", "type_"),
    [("now", TIMESTAMP), ("CURRENT_TIMESTAMP", TIMESTAMP), ("snowflake_id", BIGINT), ("uuid_v7", TEXT), ("ulid", TEXT),
     ("ulid", parse_type("varchar", (26,))), ("current_user", TEXT), ("upper", INT)],
)  # fmt: skip
def test_a_default_fits_its_column(name, type_):
    check_default(name, type_)


@pytest.mark.parametrize(
    ("name", "type_"),
    [("now", TEXT), ("now", BIGINT), ("current_timestamp", parse_type("date")), ("snowflake_id", INT),
     ("snowflake_id", TEXT), ("uuid_v7", UUID), ("ulid", BIGINT), ("ulid", parse_type("varchar", (25,))),
     ("uuid_v7", parse_type("varchar", (35,))), ("current_user", JSON)],
)  # fmt: skip
def test_a_default_of_the_wrong_type_is_refused_by_name(name, type_):
    with pytest.raises(InvalidDefinition, match=rf"DEFAULT {name.upper()}\(\)"):
        check_default(name, type_)


def test_a_default_by_a_function_of_the_application_must_fit_too():
    functions = builtin_functions()
    functions.register(scalar_function("seven", lambda: 7, [], "INT"))

    check_default("seven", BIGINT, functions)
    check_default("seven", DOUBLE, functions)
    with pytest.raises(InvalidDefinition, match="gives INT"):
        check_default("seven", TEXT, functions)
