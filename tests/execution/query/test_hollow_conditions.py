"""Conditions that no row of an aggregate decides are refused where they would be moved below it, and no others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import kalamdb
from kalamdb.errors import NotSupportedError

COUNTED = "(SELECT count(*) AS n, 1 AS k FROM t) s"


@pytest.fixture(scope="module")
def db() -> Iterator[kalamdb.Database]:
    with kalamdb.open(":memory:") as db:
        db.execute("CREATE SHARED TABLE t (id BIGINT PRIMARY KEY, x INT)")
        db.executemany("INSERT INTO t VALUES (?, ?)", [(number, number % 3) for number in range(10)])
        yield db


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT * FROM {COUNTED} WHERE k = 2",
        f"SELECT * FROM {COUNTED} WHERE n > 0 AND k = 2",
        f"SELECT * FROM {COUNTED} WHERE k = (SELECT max(x) + 10 FROM t)",
        f"SELECT * FROM {COUNTED} WHERE random() > 2",
        f"SELECT count(*) FROM {COUNTED} WHERE k = 2",
        f"SELECT t.id FROM t JOIN {COUNTED} ON t.id = s.n WHERE s.k = 2",
        "SELECT * FROM (SELECT n, 1 AS k FROM (SELECT count(*) AS n FROM t) a) s WHERE k = 2",
        "SELECT count(*) FROM t HAVING random() > 2",
        "WITH s AS (SELECT max(x) AS m, 'a' AS k FROM t) SELECT m FROM s WHERE k <> 'a'",
    ],
)
def test_what_would_be_moved_below_an_aggregate_is_refused(db: kalamdb.Database, sql: str) -> None:
    with pytest.raises(NotSupportedError, match="over an aggregate without GROUP BY"):
        db.execute(sql)


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        (f"SELECT n FROM {COUNTED} WHERE n > 2", [(10,)]),
        (f"SELECT n FROM {COUNTED} WHERE n + k > 10", [(10,)]),
        (f"SELECT n FROM {COUNTED} WHERE n = 3 OR k = 1 AND n > 3", [(10,)]),
        (f"SELECT n FROM {COUNTED} WHERE 1 = 1", [(10,)]),
        (f"SELECT n FROM {COUNTED} WHERE EXISTS (SELECT 1 FROM t WHERE x = 77)", []),
        ("SELECT count(*) FROM t HAVING 1 = 2", []),
        ("SELECT count(*) FROM t WHERE FALSE", [(0,)]),
        ("SELECT x, count(*) FROM t GROUP BY x HAVING 1 = 1 ORDER BY x", [(0, 4), (1, 3), (2, 3)]),
        ("SELECT * FROM (SELECT count(*) AS n, 1 AS k FROM t LIMIT 1) s WHERE k = 2", []),
        (
            "SELECT t.id FROM t, (SELECT max(id) AS m FROM t) s WHERE t.id = s.m AND t.x BETWEEN 0 AND 5",
            [(9,)],
        ),
        ("SELECT id FROM t WHERE (SELECT count(*) FROM t) > 3 AND id < 2 ORDER BY id", [(0,), (1,)]),
        ("SELECT n FROM (SELECT count(*) AS n, count(*) > 3 AS many FROM t) s WHERE many", [(10,)]),
    ],
)
def test_all_others_are_answered(db: kalamdb.Database, sql: str, rows: list[tuple[int, ...]]) -> None:
    assert db.execute(sql).fetchall() == rows
