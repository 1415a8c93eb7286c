"""Statements out of lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalamcore.statements import split
from kalamdb.cli.sql.statement import StatementReader, statements


def texts(text: str) -> list[tuple[str, int]]:
    return [(one.text, one.line) for one in statements(text.splitlines(keepends=True))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", [("SELECT 1", 1)]),
        ("SELECT 1;\nSELECT\n2;", [("SELECT 1", 1), ("SELECT\n2", 2)]),
        ("-- a; b\nSELECT ';' -- ;\n; SELECT 2", [("SELECT ';'", 2), ("SELECT 2", 3)]),
        ("/* ; \n */ SELECT 1 /* ; */;\n\n\nSELECT 2\n", [("SELECT 1", 2), ("SELECT 2", 5)]),
        ("SELECT 1;\n\\dt app.*\nSELECT 2;", [("SELECT 1", 1), ("\\dt app.*", 2), ("SELECT 2", 3)]),
        ("SELECT 'a\n\\q\n';", [("SELECT 'a\n\\q\n'", 1)]),
        ("SELECT 'open ; and never shut\n", [("SELECT 'open ; and never shut", 1)]),
        ("SELECT 1; SELECT 'open ;\n", [("SELECT 1", 1), ("SELECT 'open ;", 1)]),
        (";;\n ; -- nothing\n", []),
        ("", []),
    ],
)
def test_each_statement_comes_with_its_line(text: str, expected: list[tuple[str, int]]) -> None:
    assert texts(text) == expected


def test_a_statement_comes_as_soon_as_it_is_complete() -> None:
    reader = StatementReader()

    assert reader.feed("SELECT 'a;\n") == []
    assert reader.pending
    assert [one.text for one in reader.feed("b';\n")] == ["SELECT 'a;\nb'"]
    assert not reader.pending


def test_a_long_text_with_many_semicolons_is_not_looked_at_again_for_each() -> None:
    text = "INSERT INTO t VALUES ('" + "a;\n" * 50_000 + "');\nSELECT 1;\n"

    assert [len(one) for one, _ in texts(text)] == [150_025, 8]


@given(
    st.lists(
        st.sampled_from(["SELECT 1", ";", "'a;b'", "-- c;\n", "/* ; */", "\n", '"q;"', " ", "$1"]),
        max_size=20,
    )
)
def test_it_finds_what_the_core_finds(parts: list[str]) -> None:
    text = " ".join(parts)

    assert [one for one, _ in texts(text)] == [text[start:end] for start, end in split(text)]
