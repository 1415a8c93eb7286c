"""Texts that fuzzing found to end in an error that was not ours: each is answered, or refused with a kalamdb.Error."""

from __future__ import annotations

import pytest

import kalamdb
from kalamdb.errors import InvalidSyntax, StatementTooLarge
from kalamdb.sql.expressions import to_sql
from kalamdb.sql.parser import parse_expression

COUNT = 900
DEEP = {
    "minus": "- " * COUNT + "1",
    "cast": "1" + "::BIGINT" * COUNT,
    "between": "1" + " BETWEEN 1 AND 2" * (COUNT // 2),
    "in": "1" + " IN (1)" * COUNT,
}
PLACES = (
    "UPDATE app.notes SET body = {}",
    "INSERT INTO app.notes (id, body) VALUES (2, {})",
    "DELETE FROM app.notes WHERE body = {}",
    "CREATE SHARED TABLE app.other (id BIGINT PRIMARY KEY, n BIGINT DEFAULT {})",
)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", DEEP)
def test_a_tree_that_is_deep_without_parentheses_is_refused_as_too_large(
    notes: kalamdb.Database, place: str, name: str
) -> None:
    notes.execute("INSERT INTO app.notes (id, body) VALUES (1, 'kept')")

    with pytest.raises(kalamdb.Error):
        notes.execute(place.format(DEEP[name]))

    assert notes.execute("SELECT id, body FROM app.notes").fetchall() == [(1, "kept")]


def test_its_error_says_that_it_is_too_large(notes: kalamdb.Database) -> None:
    with pytest.raises(StatementTooLarge, match="nested too deeply"):
        notes.execute(PLACES[1].format(DEEP["minus"]))


@pytest.mark.parametrize("place", ["SELECT {}", *PLACES])
def test_a_number_beyond_every_double_is_refused_where_it_stands(notes: kalamdb.Database, place: str) -> None:
    with pytest.raises(InvalidSyntax, match="out of range for DOUBLE") as refused:
        notes.execute(place.format("3e308"))

    assert refused.value.position == place.index("{}")


def test_the_largest_double_and_what_is_too_small_for_one_are_numbers(db: kalamdb.Database) -> None:
    assert db.execute("SELECT 1.7976931348623157e308, 1e-400, 0e999").fetchall() == [
        (1.7976931348623157e308, 0.0, 0.0)
    ]


def test_a_sign_that_is_no_operator_is_not_read_as_the_word_unknown(notes: kalamdb.Database) -> None:
    with pytest.raises(InvalidSyntax):
        notes.execute("UPDATE app.notes SET body = body IS! NULL")


def test_a_subquery_that_is_never_closed_is_no_expression() -> None:
    with pytest.raises(InvalidSyntax, match="end of input"):
        parse_expression("a IN (SELECT b FROM t WHERE c = (1)")


def test_a_function_named_not_is_printed_as_a_name() -> None:
    printed = to_sql(parse_expression("1 - not(2) % 3"))

    assert to_sql(parse_expression(printed)) == printed
