"""Tables for people: widths of Unicode, NULL, numbers, terminals that are too narrow, and text that is no command."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from kalamdb.cli.output.look import Look
from kalamdb.cli.output.table import table_lines
from kalamdb.cli.output.width import cut, shown, width

ROWS = [(1, "hello", 1.5), (20, None, None), (3, "日本語", -22.25)]


def table(rows, look=None, columns=("id", "body", "score"), types=("BIGINT", "TEXT", "DOUBLE")):
    return "".join(table_lines(columns, types, rows, look or Look(expanded="off")))


def test_numbers_are_right_wide_characters_count_and_null_is_said() -> None:
    assert table(ROWS).splitlines() == [
        " id │ body   │ score",
        "────┼────────┼────────",
        "  1 │ hello  │    1.5",
        " 20 │ NULL   │   NULL",
        "  3 │ 日本語 │ -22.25",
    ]


def test_null_differs_from_its_text_where_there_are_colours() -> None:
    lines = table([("NULL",), (None,)], Look(colour=True), ("a",), ("TEXT",)).splitlines()

    assert lines[2] == " NULL"
    assert lines[3] == " \x1b[2mNULL\x1b[0m"


def test_ascii_is_enough_where_nothing_else_can_be_drawn() -> None:
    assert table(ROWS[:1], Look(boxes=False)).isascii()


def test_no_cell_moves_the_cursor_or_changes_a_colour() -> None:
    text = table([("a\nb\x1b[31mred\u202e",)], None, ("na\tme",), ("TEXT",))

    assert "a\\nb\\x1b[31mred\\u202e" in text
    assert "na\\tme" in text


def test_long_columns_are_cut_to_the_terminal() -> None:
    text = table([(1, "x" * 500, 1.0), (2, "日" * 300, 2.0)], Look(width=60, expanded="auto"))

    assert {width(line) for line in text.splitlines()[1:]} <= set(range(50, 61))
    assert "…" in text


def test_rows_that_cannot_be_cut_so_far_stand_below_each_other() -> None:
    columns = tuple(f"column_{number}" for number in range(20))
    text = table(
        [tuple("some text or other" for _ in columns)],
        Look(width=80, expanded="auto"),
        columns,
        ("TEXT",) * 20,
    )

    assert text.splitlines()[0].startswith("── row 1 ")
    assert len(text.splitlines()) == 21


def test_a_pipe_gets_every_character() -> None:
    assert "x" * 5000 in table([(1, "x" * 5000, 1.0)], Look(width=None, expanded="off"))


def test_no_rows_are_a_head_alone() -> None:
    assert len(table([]).splitlines()) == 2


@given(st.lists(st.tuples(st.text() | st.none(), st.text() | st.none()), min_size=1, max_size=20))
def test_a_row_is_a_line_whatever_is_in_it(rows) -> None:
    lines = table(rows, Look(expanded="off"), ("a", "b"), ("TEXT", "TEXT")).split("\n")

    assert len(lines) == len(rows) + 3
    assert len({width(line.partition("│")[0]) for line in lines[2:-1]}) == 1


@given(st.text(), st.integers(min_value=2, max_value=30))
def test_what_is_cut_fits(text: str, columns: int) -> None:
    assert width(cut(shown(text), columns)) <= max(columns, 0) or not re.search(r"\S", text)
