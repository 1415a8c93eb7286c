"""The same questions before a flush, after it, after a reopening and after a compaction have the same answers."""

from __future__ import annotations

import random
from typing import Any

import pytest

from kalamdb.database import Database
from tests.engine.cold.tiny import World

QUESTIONS = [
    "SELECT * FROM t ORDER BY id",
    "SELECT *, _seq, _updated, _deleted FROM t ORDER BY id",
    "SELECT id, _deleted FROM t WHERE _deleted OR NOT _deleted ORDER BY id",
    "SELECT count(*) FROM t",
    "SELECT count(*), count(n), sum(n), min(body), max(body), avg(ratio) FROM t",
    "SELECT min(id), max(id) FROM t",
    "SELECT min(n) FROM t",
    "SELECT max(n) FROM t WHERE n < 40",
    "SELECT * FROM t ORDER BY id DESC LIMIT 7",
    "SELECT id FROM t ORDER BY id LIMIT 5 OFFSET 9",
    "SELECT id, n FROM t ORDER BY n DESC, id LIMIT 9",
    "SELECT * FROM t WHERE id = {key}",
    "SELECT * FROM t WHERE id IN ({key}, {other}, {other})  ORDER BY id",
    "SELECT id FROM t WHERE id >= {key} AND id < {other} ORDER BY id",
    "SELECT id FROM t WHERE id > {other} ORDER BY id DESC LIMIT 3",
    "SELECT id FROM t WHERE id BETWEEN {key} AND {other} AND n IS NOT NULL ORDER BY id",
    "SELECT id, body FROM t WHERE body LIKE 'b1%' ORDER BY id",
    "SELECT id, body FROM t WHERE body LIKE '%7' ORDER BY id",
    "SELECT id FROM t WHERE n IS NULL ORDER BY id",
    "SELECT id FROM t WHERE n = 3 OR body = 'b4' ORDER BY id",
    "SELECT id FROM t WHERE flag AND ratio > 0.25 ORDER BY id",
    "SELECT n, count(*) FROM t GROUP BY n ORDER BY n NULLS FIRST",
    "SELECT a.id, b.id FROM t a JOIN t b ON a.n = b.n AND a.id < b.id ORDER BY a.id, b.id LIMIT 20",
    "SELECT id FROM t WHERE id IN (SELECT id FROM t WHERE n > 5) ORDER BY id",
    "SELECT id, row_number() OVER (ORDER BY id) FROM t ORDER BY id",
    "SELECT DISTINCT n FROM t ORDER BY n NULLS LAST",
    "SELECT 1 FROM t LIMIT 3",
]
ROADS: dict[str, dict[str, Any]] = {
    "cached": {},
    "uncached": {"cache_bytes": 0},
    "little cache": {"cache_bytes": 5000},
}
"""By which a read finds cold rows: decoded and kept, passing through, or now this, now that."""


def change(db: Database, user: str, dice: random.Random, text: bool, count: int) -> None:
    """Some statements of every kind."""
    session = db.session(user, role="service")
    for _ in range(count):
        number = dice.randrange(60)
        key: Any = f"k{number:02}" + "x" * (number % 3 * 30) if text else number - 20
        row = [key, f"b{number}", dice.choice([None, *range(12)]), dice.randrange(8) / 8, dice.random() < 0.5]
        kind = dice.random()
        if kind < 0.6:
            session.execute(
                "INSERT INTO t VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET n = excluded.n, body = 'again'",
                row,
            )
        elif kind < 0.75:
            session.execute("DELETE FROM t WHERE id = ?", [key])
        elif kind < 0.85:
            session.execute("UPDATE t SET n = n + 1 WHERE id = ?", [key])
        elif kind < 0.95:
            session.execute("UPDATE t SET flag = NOT flag WHERE n = ?", [number % 12])
        else:
            session.execute("DELETE FROM t WHERE n = ?", [number % 12])


def answers(db: Database, user: str, text: bool) -> dict[str, object]:
    """What is answered to every question, or how it is refused."""
    session = db.session(user, role="service")
    found: dict[str, object] = {}
    key, other = ("'k12'", "'k41'") if text else ("-3", "22")
    for question in QUESTIONS:
        sql = question.format(key=key, other=other)
        result = session.execute(sql)
        found[sql] = list(result.columns), result.fetchall()
    return found


@pytest.mark.parametrize(
    ("kind", "text", "road"),
    [
        ("SHARED", False, "cached"),
        ("USER", True, "cached"),
        ("SHARED", True, "uncached"),
        ("USER", False, "uncached"),
        ("USER", True, "little cache"),
    ],
)
def test_every_question_has_the_same_answer_in_every_tier(
    world: World, kind: str, text: bool, road: str
) -> None:
    settings = ROADS[road]
    db = world.open(**settings)
    key = "TEXT" if text else "BIGINT"
    db.execute(f"CREATE {kind} TABLE t (id {key} PRIMARY KEY, body TEXT, n INT, ratio DOUBLE, flag BOOLEAN)")
    dice = random.Random(f"{kind} {text}")
    for turn in range(2):
        for user in ("alice", "bob"):
            change(db, user, dice, text, 60)
        wanted = {user: answers(db, user, text) for user in ("alice", "bob")}
        moves = [
            lambda db: db.checkpoint(),
            lambda db: db.flush(),
            lambda db: world.open(**settings),
            lambda db: db.compact(),
            lambda db: world.open(**settings),
        ]
        for number, move in enumerate(moves):
            if turn == 0 and number == 3:
                break  # the next turn changes rows over several segments
            moved = move(db)
            if isinstance(moved, Database):
                db = moved
            for user, wanted_of_user in wanted.items():
                found = answers(db, user, text)
                for sql, answer in wanted_of_user.items():
                    assert found[sql] == answer, (turn, number, user, sql)


def test_all_users_are_read_together_in_every_tier(world: World) -> None:
    for road in ROADS.values():
        db = world.open(**road)
        name = f"t{len(db.catalog.tables)}"
        db.execute(f"CREATE USER TABLE {name} (id BIGINT PRIMARY KEY, n INT)")
        for number, user in enumerate(["alice", "bob", "carol", "dave"]):
            db.session(user).executemany(
                f"INSERT INTO {name} VALUES (?, ?)", [(key, number) for key in range(9)]
            )
        db.flush()
        db.session("bob").execute(f"DELETE FROM {name} WHERE id < 5")
        db.session("erin").execute(f"INSERT INTO {name} VALUES (1, 5)")
        db.session("carol").execute(f"UPDATE {name} SET n = 7 WHERE id = 1")
        wanted = [("alice", 9, 0), ("bob", 4, 4), ("carol", 9, 23), ("dave", 9, 27), ("erin", 1, 5)]
        sql = f"SELECT _user, count(*), sum(n) FROM all_users.default.{name} GROUP BY _user ORDER BY _user"
        for again in world.lives(road):
            assert again.execute(sql).fetchall() == wanted
            again.flush()
            assert again.execute(sql).fetchall() == wanted


def test_all_users_are_counted_together_in_every_tier(world: World) -> None:
    """In memory, over what a checkpoint wrote, cold beneath both, opened anew, in a transaction; as by another road."""
    # The second column is no plain COUNT(*), so that is the query engine's.
    count = "SELECT count(*) FROM all_users.default.t"
    by_engine = "SELECT count(*), count(DISTINCT _user) FROM all_users.default.t"
    users = [f"u{number}" for number in range(8)]
    for road in ROADS.values():
        db = world.open(**road)
        if db.catalog.table("default", "t") is not None:
            db.execute("DROP TABLE t")
        db.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY, n INT)")
        dice = random.Random(21)
        moves = ["checkpoint", "checkpoint", "flush", "nothing", "flush", "compact", "checkpoint", "reopen"]
        for move in moves:
            for user in users[: dice.randrange(1, 9)]:
                session = db.session(user)
                for _ in range(6):
                    key = dice.randrange(12)
                    if dice.random() < 0.6:
                        session.execute("INSERT INTO t VALUES (?, 1) ON CONFLICT (id) DO NOTHING", [key])
                    else:
                        session.execute("DELETE FROM t WHERE id = ?", [key])
            (wanted, _) = db.execute(by_engine).fetchone()
            assert db.execute(count).fetchall() == [(wanted,)]
            root = db.session("root", role="system")
            root.begin()
            assert root.execute(count).fetchall() == [(wanted,)]
            db.session("u0").execute("INSERT INTO t VALUES (?, 1)", [100 + dice.randrange(10**9)])
            assert root.execute(count).fetchall() == [(wanted,)]
            root.execute("INSERT INTO t VALUES (500, 1)")
            assert root.execute(count).fetchall() == [(wanted + 1,)]
            root.rollback()
            assert db.execute(count).fetchall() == [(wanted + 1,)]
            if move == "reopen":
                db = world.open(**road)
            elif move != "nothing":
                getattr(db, move)()
            assert db.execute(count).fetchall() == [(wanted + 1,)]
