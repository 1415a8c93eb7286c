"""A database with rows wherever they can be: memory, hot and cold segments, updates and deletes across them."""

from __future__ import annotations

import kalamdb

USERS = ("alice", "bob", "Ünal")


def fill(db: kalamdb.Database) -> None:
    """Tables of each kind, a view, and rows of three users: some flushed, some checkpointed, some in memory alone."""
    db.execute("CREATE NAMESPACE app")
    db.execute("CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT NOT NULL)")
    db.execute("CREATE SHARED TABLE app.rates (code TEXT PRIMARY KEY, rate DOUBLE)")
    db.execute("CREATE STREAM TABLE app.ticks (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID(), at INT) TTL 600")
    db.execute("CREATE VIEW app.short AS SELECT id FROM app.notes WHERE id < 3")
    for user in USERS:
        session = db.session(user)
        session.executemany(
            "INSERT INTO app.notes (id, body) VALUES (?, ?)", [(n, f"{user} {n}") for n in range(9)]
        )
    db.execute("INSERT INTO app.rates VALUES ('eur', 1.0), ('usd', 1.1), ('gone', 0.0)")
    db.flush()
    db.execute("ALTER TABLE app.notes ADD COLUMN tag TEXT DEFAULT 'none'")
    for user in USERS:
        db.session(user).execute("UPDATE app.notes SET body = 'hot', tag = 'new' WHERE id = 1")
        db.session(user).execute("DELETE FROM app.notes WHERE id = 2")
    db.execute("DELETE FROM app.rates WHERE code = 'gone'")
    db.checkpoint()
    for user in USERS:
        db.session(user).execute("INSERT INTO app.notes (id, body) VALUES (100, 'memory')")
        db.session(user).execute("DELETE FROM app.notes WHERE id = 3")


def shown(db: kalamdb.Database) -> dict[str, list[tuple[object, ...]]]:
    """Everything that a user can see, with sequence numbers and tombstones."""
    seen = {}
    for user in USERS:
        session = db.session(user)
        rows = session.execute("SELECT id, body, tag, _seq, _deleted FROM app.notes").fetchall()
        seen[user] = sorted(rows)
        seen[f"{user}'s view"] = sorted(session.execute("SELECT * FROM app.short").fetchall())
    seen["rates"] = sorted(db.execute("SELECT code, rate, _seq, _deleted FROM app.rates").fetchall())
    return seen
