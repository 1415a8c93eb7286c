"""How a result looks at a prompt and in a notebook: everything told apart, nothing obeyed, nothing fetched."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

import pytest

import kalamdb
from kalamdb.errors import Corruption
from kalamdb.preview import COLUMNS_MAX
from kalamdb.result import Result
from kalamdb.types import BIGINT, TEXT

ROWS = 5000


@pytest.fixture(scope="module")
def session() -> Iterator[kalamdb.Session]:
    with kalamdb.open(":memory:") as db:
        db.execute("CREATE SHARED TABLE t (id BIGINT PRIMARY KEY, body TEXT, payload JSON, token UUID)")
        rows = [
            (number, f"text {number}", '{"a": 1}', "12345678-1234-5678-1234-567812345678")
            for number in range(ROWS)
        ]
        db.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
        yield db.session("root", role="dba")


def of(*rows: tuple[object, ...], columns: tuple[str, ...] = ("id", "body")) -> Result:
    return Result.from_rows(columns, [BIGINT, *[TEXT] * (len(columns) - 1)], list(rows))


def test_a_result_at_a_prompt_is_a_table_with_numbers_to_the_right() -> None:
    assert repr(of((1, "one"), (100, "hundred"))).splitlines() == [
        "id  | body",
        "----+--------",
        "  1 | one",
        "100 | hundred",
        "(2 rows, 0.000 ms)",
    ]


def test_null_is_told_from_the_text_null_and_from_nothing() -> None:
    shown = repr(of((1, None), (2, "NULL"), (3, ""))).splitlines()
    page = of((1, None), (2, "NULL"))._repr_html_()

    assert shown[2:5] == [" 1 | NULL", " 2 | 'NULL'", " 3 |"]
    assert len(re.findall("<em[^>]*>NULL</em>", page)) == 1
    assert page.count(">NULL</td>") == 1


def test_html_of_values_and_names_is_text() -> None:
    page = of((1, "<script>alert(1)</script>"), columns=("id", "<b onload='x'>"))._repr_html_()

    assert "<script" not in page
    assert "<b " not in page
    assert "&lt;script&gt;" in page
    assert "text-align:right" in page
    assert "BIGINT" in page


def test_a_terminal_is_given_no_orders_and_no_lines() -> None:
    shown = repr(of((1, "a\nb\x1b[2J\u202e")))

    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert r"a\nb\x1b[2J\u202e" in shown
    assert len(shown.splitlines()) == 4


def test_wide_letters_keep_columns_in_line() -> None:
    lines = repr(of((1, "日本"), (2, "abcd"), columns=("id", "body", "end")[:2])).splitlines()

    assert lines[1] == "---+-----"


def test_long_text_is_cut() -> None:
    result = of((1, "x" * 10_000))

    assert "x" * 59 + "…" in repr(result)
    assert "x" * 100 not in repr(result)
    assert len(result._repr_html_()) < 2000


def test_a_wide_result_shows_its_first_and_last_columns() -> None:
    names = tuple(f"c{number}" for number in range(100))
    shown = repr(of(tuple(range(100)), columns=names))

    assert "c14 | … | c85" in shown
    assert "c50" not in shown
    assert "1 row of 100 columns" in shown
    assert of(tuple(range(100)), columns=names)._repr_html_().count("<th") == COLUMNS_MAX + 2  # <thead>, …


@pytest.mark.parametrize(
    "where", ["id >= 0", "id < 1000", "abs(id) < 4000"], ids=["many rows", "stored rows", "the query engine"]
)
def test_a_long_result_shows_both_ends_and_is_not_fetched(session: kalamdb.Session, where: str) -> None:
    result = session.execute(f"SELECT * FROM t WHERE {where} ORDER BY id")
    before = result.fetchone()
    lines = repr(result).splitlines()
    page = result._repr_html_()

    assert len(lines) == 2 + 10 + 1 + 10 + 1
    assert re.search(r"^ +0 \| text 0 +\| \{\"a\": 1\} \| 12345678-1234-5678-1234-567812345678$", lines[2])
    assert lines[12].split(" | ")[0].strip() == "…"
    assert re.match(rf" *{result.rowcount - 1} ", lines[-2])
    assert f"({result.rowcount:,} rows, " in lines[-1]
    assert page.count("<tr>") == 22
    assert f"text {result.rowcount - 1}<" in page
    assert before is not None
    assert before[0] == 0
    assert len(result.fetchall()) == result.rowcount - 1


def test_a_result_that_is_arrow_makes_no_value_of_what_is_not_shown(session: kalamdb.Session) -> None:
    result = session.execute("SELECT * FROM t")
    repr(result)
    result._repr_html_()

    assert result._rows is None


def test_what_a_statement_without_rows_did_is_shown(session: kalamdb.Session) -> None:
    result = session.execute("CREATE NAMESPACE preview")

    assert repr(result) == f"<Result: {result.message}>"
    assert str(result.message) in result._repr_html_()


def test_a_result_without_rows_has_its_columns() -> None:
    assert repr(of()).splitlines() == ["id | body", "---+-----", "(0 rows, 0.000 ms)"]
    assert "body" in of()._repr_html_()


def test_values_of_other_types_are_readable() -> None:
    moment = datetime.datetime(2025, 1, 31, 12, tzinfo=datetime.UTC)
    result = of((True, b"\x00\xff", moment, {"ä": [1]}), columns=("a", "b", "c", "d"))

    assert repr(result).splitlines()[2].strip() == "true | X'00ff' | 2025-01-31 12:00:00+00:00 | {\"ä\": [1]}"


def test_showing_what_cannot_be_read_does_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def corrupt(self: Result) -> None:
        raise Corruption("segment 7 is damaged")

    monkeypatch.setattr(Result, "_preview", corrupt)

    assert repr(of((1, "x"))) == "<Result: 1 row(s) of id, body>"
