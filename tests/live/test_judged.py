"""Predicates that the core does not judge: what they tell is what those tell that it does."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pyarrow as pa
import pytest

import kalamdb
from kalamdb.errors import (
    DivisionByZero,
    TypeMismatch,
    UndefinedColumn,
    UndefinedFunction,
    UnsupportedLiveQuery,
)

TABLE = "CREATE USER TABLE app.t (id BIGINT PRIMARY KEY, role TEXT, n INT, price DECIMAL(8, 2), j JSON)"
ALL = "(lower(role) = lower(role) OR role IS NULL)"
"""Is TRUE of every row, and nothing that the core judges."""
Told = list[tuple[object, ...]]


@pytest.fixture
def alice(db: kalamdb.Database) -> kalamdb.Session:
    db.execute("CREATE NAMESPACE app")
    db.execute(TABLE)
    return db.session("alice")


def told(subscription: kalamdb.Subscription) -> Told:
    """Each row that it has told, by itself."""
    found: Told = []
    while (event := subscription.next(0.05)) is not None:
        count = max(len(event.rows), len(event.old_rows))
        rows, old_rows = event.rows or (None,) * count, event.old_rows or (None,) * count
        found += [(event.kind, row, old_row) for row, old_row in zip(rows, old_rows, strict=True)]
    return found


def change(session: kalamdb.Session, dice: random.Random) -> None:
    """Something of every kind, some of it together."""
    with session.transaction() if dice.random() < 0.3 else contextlib.nullcontext():
        for _ in range(dice.randrange(1, 5)):
            key, n = dice.randrange(12), dice.randrange(6)
            role = dice.choice(["user", "bot", None, "System", "user and bot"])
            match dice.randrange(4):
                case 0 | 1:
                    session.execute(
                        "INSERT INTO app.t VALUES (?, ?, ?, ?, NULL) ON CONFLICT (id) DO UPDATE SET n = excluded.n, "
                        "role = excluded.role",
                        [key, role, n, n],
                    )
                case 2:
                    session.execute("UPDATE app.t SET n = ?, role = ? WHERE id <= ?", [n, role, key])
                case 3:
                    session.execute("DELETE FROM app.t WHERE n = ?", [n])


@pytest.mark.parametrize(
    "where", ["n > 2", "role = 'user' OR n IN (1, 4)", "role IS NULL", "id BETWEEN 3 AND 8"]
)
def test_it_tells_what_the_core_tells(alice: kalamdb.Session, where: str, seed: int) -> None:
    dice = random.Random(f"{seed} {where}")
    columns = "id, role AS r, n, _updated"
    for _ in range(20):
        change(alice, dice)
    begun = alice.execute("INSERT INTO app.t (id) VALUES (50) RETURNING _seq").fetchone()[0]
    native = alice.subscribe(f"SELECT {columns} FROM app.t WHERE {where}")
    judged = alice.subscribe(f"SELECT {columns} FROM app.t WHERE ({where}) AND {ALL}")
    last_3 = alice.subscribe(f"SELECT {columns} FROM app.t WHERE ({where}) AND {ALL}", last_rows=3)
    there = told(native)
    assert told(judged) == there
    assert told(last_3) == there[-3:]

    for _ in range(40):
        change(alice, dice)
    alice.insert("app.t", pa.table({"id": range(100, 130), "n": [n % 6 for n in range(30)]}))

    changed = told(native)
    assert len(changed) > 20
    assert told(judged) == changed
    assert told(last_3) == changed
    resumed = alice.subscribe(f"SELECT {columns} FROM app.t WHERE ({where}) AND {ALL}", from_seq=begun)
    assert told(resumed) == changed


@pytest.mark.parametrize(
    ("where", "parameters"),
    [
        ("role LIKE '%ser%'", []),
        ("upper(role) = ?", ["USER"]),
        ("price > 1.0", []),
        ("price BETWEEN ? AND ?", [1, 2]),
        ("n * 2 + 1 = 3", []),
        ("json_get_int(j, 'a') = 1", []),
        ("CASE WHEN n = 1 THEN TRUE ELSE FALSE END", []),
        ("role || CURRENT_USER() = 'useralice'", []),
        ("t.n = 1 AND length(t.role) = 4", []),
    ],
)
def test_any_expression_over_a_rows_columns(
    alice: kalamdb.Session, where: str, parameters: list[object]
) -> None:
    alice.execute("""INSERT INTO app.t VALUES (1, 'user', 1, 1.5, '{"a": 1}'), (2, NULL, NULL, NULL, NULL)""")
    with alice.subscribe(f"SELECT id FROM app.t WHERE {where}", parameters) as subscription:
        alice.execute(
            """INSERT INTO app.t VALUES (3, 'user', 1, 1.5, '{"a": 1}'), (4, 'bot', 2, 0.5, '{"a": 2}')"""
        )
        alice.execute("UPDATE app.t SET role = NULL, n = NULL, price = NULL, j = NULL WHERE id IN (1, 4)")
        found = [
            (kind, row and row["id"], old_row and old_row["id"])  # type: ignore[index]
            for kind, row, old_row in told(subscription)
        ]

    assert found == [("snapshot", 1, None), ("insert", 3, None), ("delete", None, 1)]


@pytest.mark.parametrize(
    ("where", "error", "message"),
    [
        ("id IN (SELECT id FROM app.t)", UnsupportedLiveQuery, "subquery"),
        ("random() > 0.5", UnsupportedLiveQuery, "random may have another value"),
        ("n = 1 OR NOW() > _updated", UnsupportedLiveQuery, "now may have another value"),
        ("current_date IS NULL", UnsupportedLiveQuery, "current_date may have another value"),
        ("guess(n) = 1", UnsupportedLiveQuery, "guess may have another value"),
        ("_seq > 5 AND lower(role) = 'x'", UnsupportedLiveQuery, "_seq is compared with values"),
        ("lower(role) = 'x' ORDER BY id", UnsupportedLiveQuery, "cannot be listened to"),
        ("lower(role) = ", UnsupportedLiveQuery, "cannot be listened to"),
        ("lower(x) = 'x'", UndefinedColumn, 'column "x" does not exist in app.t'),
        ("lower(u.role) = 'x'", UndefinedColumn, 'column "u.role" does not exist in app.t'),
        ("lower(role)", TypeMismatch, "is TRUE or FALSE"),
        ("nothing_like_it(role)", UndefinedFunction, "nothing_like_it"),
    ],
)
def test_what_is_not_the_rows_alone_is_refused(
    alice: kalamdb.Session, db: kalamdb.Database, where: str, error: type[kalamdb.Error], message: str
) -> None:
    db.register_function("guess", lambda n: n, ["INT"], "INT")
    with pytest.raises(error, match=message):
        alice.subscribe(f"SELECT * FROM app.t WHERE {where}")
    assert len(db.live) == 0


def test_a_function_of_ones_own_that_is_immutable(alice: kalamdb.Session, db: kalamdb.Database) -> None:
    db.register_function(
        "is_even", lambda n: None if n is None else n % 2 == 0, ["INT"], "BOOLEAN", volatility="immutable"
    )
    with alice.subscribe("SELECT n FROM app.t WHERE is_even(n)") as subscription:
        alice.execute("INSERT INTO app.t (id, n) VALUES (1, 1), (2, 2)")
        assert [row["n"] for _, row, _ in told(subscription) if row] == [2]  # type: ignore[index]


def test_an_expression_that_fails_for_a_row_ends_it(alice: kalamdb.Session) -> None:
    """As the SELECT would: the write is done all the same."""
    with alice.subscribe("SELECT n FROM app.t WHERE 6 / n = 2") as subscription:
        alice.execute("INSERT INTO app.t (id, n) VALUES (1, 3)")
        alice.execute("INSERT INTO app.t (id, n) VALUES (2, 0)")
        assert [event.kind for event in (subscription.next(1), subscription.next(1)) if event] == [
            "snapshot",
            "insert",
        ]
        with pytest.raises(DivisionByZero):
            subscription.next(1)
    assert alice.execute("SELECT count(*) FROM app.t").fetchone() == (2,)


def test_who_listens_by_one_text_is_asked_each_by_its_own_name(db: kalamdb.Database) -> None:
    db.execute("CREATE NAMESPACE app")
    db.execute("CREATE SHARED TABLE app.s (id BIGINT PRIMARY KEY, to_whom TEXT) ACCESS public")
    sql = "SELECT id FROM app.s WHERE lower(to_whom) = CURRENT_USER()"
    ann, bob = (db.session(user).subscribe(sql) for user in ("ann", "bob"))
    db.execute("INSERT INTO app.s VALUES (1, 'Ann'), (2, 'Bob')")

    assert [row["id"] for _, row, _ in told(ann) if row] == [1]  # type: ignore[index]
    assert [row["id"] for _, row, _ in told(bob) if row] == [2]  # type: ignore[index]


def test_rows_in_every_tier(directory: Path) -> None:
    with kalamdb.open(directory) as db:
        db.execute("CREATE NAMESPACE app")
        db.execute(TABLE)
        alice = db.session("alice")
        for number, move in enumerate((lambda: db.flush("app.t"), db.checkpoint, lambda: None)):
            alice.execute("INSERT INTO app.t (id, role) VALUES (?, 'User')", [number])
            move()
        with alice.subscribe("SELECT id FROM app.t WHERE lower(role) = 'user'") as subscription:
            db.flush("app.t")
            alice.execute("DELETE FROM app.t WHERE id = 0")
            found = told(subscription)

    assert [(kind, (row or old_row)["id"]) for kind, row, old_row in found] == [  # type: ignore[index]
        ("snapshot", 0),
        ("snapshot", 1),
        ("snapshot", 2),
        ("delete", 0),
    ]
