"""The built-in functions, each over columns."""

from __future__ import annotations

import array
import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalamdb.errors import InvalidValue
from kalamdb.functions import FunctionContext, builtin_functions
from kalamdb.functions.json_path import write
from kalamdb.types import BIGINT, JSON, TEXT, TIMESTAMP

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)


class Counting:
    """An IdSource whose ids are the numbers from 1."""

    def __init__(self):
        self.last = 0

    def snowflake_id(self):
        self.last += 1
        return self.last

    def snowflake_ids(self, count):
        return bytearray(array.array("q", [self.snowflake_id() for _ in range(count)]).tobytes())

    def uuid_v7(self):
        return f"uuid {self.snowflake_id()}"

    def uuid_v7s(self, count):
        return [self.uuid_v7() for _ in range(count)]

    def ulid(self):
        return f"ulid {self.snowflake_id()}"

    def ulids(self, count):
        return [self.ulid() for _ in range(count)]


@pytest.fixture
def call():
    """Calls a function over columns of equal length."""
    context = FunctionContext(NOW, "alice", "user", Counting())
    functions = builtin_functions()

    def call(name, *columns, count=None):
        return functions.get(name).evaluate(context, len(columns[0]) if columns else count, *columns)

    return call


def test_what_the_session_knows_is_the_same_in_every_row(call):
    assert call("now", count=3) == call("current_timestamp", count=3) == [NOW] * 3
    assert call("current_user", count=2) == ["alice", "alice"]
    assert call("current_role", count=1) == ["user"]
    assert call("now", count=0) == []


def test_ids_are_new_in_every_row(call):
    assert call("snowflake_id", count=3) == [1, 2, 3]
    assert call("snowflake_id", count=1) == [4]
    assert call("snowflake_id", count=0) == []
    assert call("uuid_v7", count=1) + call("uuid_v7", count=2) == ["uuid 5", "uuid 6", "uuid 7"]
    assert call("ulid", count=1) + call("ulid", count=2) == ["ulid 8", "ulid 9", "ulid 10"]


def test_declarations_are_those_of_the_documentation():
    functions = builtin_functions()
    declared = {name: functions.get(name) for name in functions.names()}

    assert {name for name, one in declared.items() if one.volatility == "volatile"} == {
        "snowflake_id",
        "uuid_v7",
        "ulid",
    }
    assert {name for name, one in declared.items() if one.keyword_call} == {
        "current_timestamp",
        "current_user",
    }
    assert declared["now"].result == TIMESTAMP
    assert declared["snowflake_id"].result == BIGINT
    assert declared["uuid_v7"].result == declared["ulid"].result == TEXT
    assert all(
        one.volatility == "immutable" and one.variadic for name, one in declared.items() if "json" in name
    )
    assert declared["json_length"].signature == "json_length(JSON, …)"
    assert declared["json_length"].takes(1)
    assert declared["json_length"].takes(3)
    assert not declared["now"].takes(1)


DOCUMENT = '{"a": {"b": [10, "ten", null, true, 1.5]}, "s": "x", "n": null, "big": 9223372036854775807}'


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("json_get", ["a", "b", 0], "10"),
        ("json_get", ["a"], '{"b":[10,"ten",null,true,1.5]}'),
        ("json_get", ["n"], "null"),
        ("json_get", ["missing"], None),
        ("json_get_json", ["s"], '"x"'),
        ("json_get_str", ["s"], "x"),
        ("json_get_str", ["a", "b", 0], "10"),
        ("json_get_str", ["a", "b", 3], "true"),
        ("json_get_str", ["n"], None),
        ("json_get_str", ["a", "b"], '[10,"ten",null,true,1.5]'),
        ("json_get_int", ["a", "b", 0], 10),
        ("json_get_int", ["big"], 9223372036854775807),
        ("json_get_int", ["a", "b", 3], None),
        ("json_get_int", ["a", "b", 4], None),
        ("json_get_int", ["s"], None),
        ("json_get_float", ["a", "b", -1], 1.5),
        ("json_get_float", ["a", "b", 0], 10.0),
        ("json_get_float", ["a", "b", 3], None),
        ("json_get_bool", ["a", "b", 3], True),
        ("json_get_bool", ["a", "b", 0], None),
        ("json_contains", ["n"], True),
        ("json_contains", ["a", "b", 5], False),
        ("json_contains", ["a", "b", "0"], False),
        ("json_contains", ["a", 0], False),
        ("json_contains", ["a", None], False),
        ("json_length", [], 4),
        ("json_length", ["a", "b"], 5),
        ("json_length", ["s"], None),
    ],
)
def test_json_functions_follow_the_keys(call, name, path, expected):
    (result,) = call(name, [DOCUMENT], *[[key] for key in path])

    assert result == expected
    assert type(result) is type(expected)


def test_json_functions_take_other_keys_in_every_row_and_null_documents(call):
    assert call("json_get_int", ['{"a":1,"b":2}', '{"a":3,"b":4}', None], ["a", "b", "a"]) == [1, 4, None]
    assert call("json_contains", ["{}", None], ["a", "a"]) == [False, None]


def test_json_functions_refuse_text_that_is_no_json(call):
    with pytest.raises(InvalidValue, match=r'invalid value for JSON: "{oops"'):
        call("json_length", ["{oops"])


scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(codec="utf-8"))
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner)
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), values, min_size=1))
def test_every_member_of_a_document_is_found(document):
    get = builtin_functions().get("json_get")
    assert get.result == JSON
    for key, value in document.items():
        assert get.evaluate(None, 1, [write(document)], [key]) == [write(value)]
