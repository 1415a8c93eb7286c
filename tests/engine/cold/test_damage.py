"""A changed, cut, missing or foreign file of a storage is an error of who asks, and never another answer."""

from __future__ import annotations

import random

import pytest

from kalamdb.database import Database
from kalamdb.errors import Corruption, Error
from tests.engine.cold.tiny import World, files_of, place_of

QUESTIONS = (
    "SELECT * FROM t ORDER BY id",
    "SELECT count(*) FROM t",
    "SELECT * FROM t WHERE id = 'k07'",
    "SELECT max(n), count(body) FROM t WHERE n > 3",
    "SELECT * FROM (SELECT * FROM t) ORDER BY id",
)


@pytest.fixture(params=[{}, {"cache_bytes": 0}], ids=["cached", "uncached"])
def filled(request: pytest.FixtureRequest, world: World) -> Database:
    """A partition of three segments, with changed and deleted rows."""
    db = world.open(**request.param)
    db.cold.segment_bytes_max = 1 << 20
    db.execute("CREATE TABLE t (id TEXT PRIMARY KEY, n INT, body TEXT)")
    db.executemany("INSERT INTO t VALUES (?, ?, ?)", [(f"k{n:02}", n, f"body {n}" * 3) for n in range(20)])
    db.flush()
    db.execute("UPDATE t SET n = 100 WHERE id > 'k10'")
    db.flush()
    db.execute("DELETE FROM t WHERE id = 'k03'")
    db.flush()
    return db


def put(world: World, db: Database, path: str, content: bytes | None) -> None:
    """Another content of a file, past the storage."""
    storage = db.catalog.require_storage("local")
    place = f"{db.path}/{storage.place.path}/{path}"
    if content is None:
        world.files.remove(place)
    else:
        world.files.write_atomic(place, content)
    db.cold.forget(place_of(db, "t").table_id, b"")


def answers(db: Database) -> list[object]:
    """To each question; None where it is refused, naming the file."""
    found: list[object] = []
    told: list[str] = []
    for sql in QUESTIONS:
        try:
            found.append(db.execute(sql).fetchall())
        except Corruption as error:
            found.append(None)
            told.append(str(error))
    assert all("default/t/" in message for message in told), told
    return found


def test_a_changed_byte_or_a_cut_is_never_another_answer(filled: Database, world: World, seed: int) -> None:
    right = answers(filled)
    dice = random.Random(seed)
    refused = 0
    named = [path for path in files_of(filled, "") if not path.endswith("previous.json")]
    assert len(named) == 4
    for path in named:
        content = filled.cold.backend("local").read(path)
        for _ in range(12):
            at = dice.randrange(len(content))
            damaged = content[:at] + bytes([content[at] ^ 1 << dice.randrange(8)]) + content[at + 1 :]
            for changed in (damaged, content[:at]):
                put(world, filled, path, changed)
                # What was decoded before is right, and may still be answered from.
                for number, answer in enumerate(answers(filled)):
                    refused += answer is None
                    assert answer in (None, right[number]), f"byte {at} of {path}: {QUESTIONS[number]}"
        put(world, filled, path, content)
    assert answers(filled) == right
    assert refused > 50


def test_a_missing_or_exchanged_segment_is_an_error(filled: Database, world: World) -> None:
    right = answers(filled)
    first, second, _ = files_of(filled)
    contents = {path: filled.cold.backend("local").read(path) for path in (first, second)}
    db = world.open(cache_bytes=0)
    for path, content in ((first, None), (first, contents[second]), (second, contents[first]), (first, b"")):
        put(world, db, path, content)
        with pytest.raises(Corruption):
            db.execute("SELECT * FROM t ORDER BY id").fetchall()
        with pytest.raises(Error):
            db.compact()
        for one, whole in contents.items():
            put(world, db, one, whole)
        assert answers(db) == right
