"""A row that cannot be read any more: every statement that needs it says so, and no statement answers without it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import kalamdb
from kalamdb.errors import Corruption

STATEMENTS = {
    "a look-up by key": "SELECT * FROM t WHERE id = 7",
    "a range": "SELECT * FROM t WHERE id >= 3 ORDER BY id LIMIT 2",
    "a filter": "SELECT * FROM t WHERE body = 'row 7'",
    "a scan": "SELECT * FROM t",
    "a count of some": "SELECT count(*) FROM t WHERE n > 1",
    "a query of the engine": "SELECT body, sum(n) FROM t GROUP BY body",
    "a view": "SELECT * FROM v",
    "a subquery": "SELECT (SELECT max(n) FROM t)",
    "an UPDATE by key": "UPDATE t SET n = n + 1 WHERE id = 7",
    "an UPDATE by key of literals": "UPDATE t SET n = 1 WHERE id = 7",
    "an UPDATE of all": "UPDATE t SET n = 1",
    "an UPDATE by predicate": "UPDATE t SET n = 1 WHERE body LIKE 'row%'",
    "a DELETE by key": "DELETE FROM t WHERE id = 7",
    "a DELETE by predicate": "DELETE FROM t WHERE n > 2",
    "an INSERT of the key": "INSERT INTO t VALUES (7, 'again', 1)",
    "an upsert": "INSERT INTO t VALUES (7, 'again', 1) ON CONFLICT (id) DO UPDATE SET n = 2",
    "an INSERT unless it is there": "INSERT INTO t VALUES (7, 'again', 1) ON CONFLICT DO NOTHING",
}


@pytest.fixture
def damaged(directory: Path) -> Iterator[kalamdb.Database]:
    """Table t with rows 1 to 9 in a segment whose only block has a flipped bit; a sound table beside it."""
    with kalamdb.open(directory) as db:
        db.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, body TEXT, n BIGINT)")
        db.execute("CREATE TABLE sound (id BIGINT PRIMARY KEY)")
        db.execute("CREATE VIEW v AS SELECT id FROM t WHERE n > 1")
        for n in range(1, 10):
            db.execute("INSERT INTO t VALUES (?, ?, ?)", [n, f"row {n}", n])
        db.execute("INSERT INTO sound VALUES (1)")
        db.checkpoint()
    (path,) = [one for one in (directory / "hot").glob("*.arrow") if b"row 7" in one.read_bytes()]
    content = bytearray(path.read_bytes())
    content[content.index(b"row 7")] ^= 1
    path.write_bytes(content)
    with kalamdb.open(directory) as db:
        yield db


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_that_needs_a_damaged_block_names_its_file(
    damaged: kalamdb.Database, statement: str
) -> None:
    with pytest.raises(Corruption, match=r"hot/\d+\.arrow.*checksum of a block is wrong"):
        damaged.execute(STATEMENTS[statement])
    with pytest.raises(Corruption, match=r"hot/\d+\.arrow"), damaged.transaction() as session:
        session.execute(STATEMENTS[statement])


def test_other_tables_and_new_keys_are_not_concerned(damaged: kalamdb.Database) -> None:
    assert damaged.execute("SELECT * FROM sound").fetchall() == [(1,)]
    damaged.execute("INSERT INTO t VALUES (100, 'above all', 1)")
    assert damaged.execute("SELECT body FROM t WHERE id = 100").fetchall() == [("above all",)]
    damaged.execute("DROP TABLE t")
    damaged.checkpoint()
    damaged.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)")
    assert damaged.execute("SELECT * FROM t").fetchall() == []
