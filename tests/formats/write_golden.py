"""Writes a golden directory of the present format: `python tests/formats/write_golden.py tests/formats/v1-log2`.

Run once when a format version is released; the directory is then kept as it is, and every later version must read it.
Rows are in all tiers: cold segments of two schema versions, hot segments and a checkpoint, the log. (v1 is of the time
before there were segments, v1-tiers of that before the log told what updates replaced.) The database is closed by
losing it, so that its log ends as a crash leaves it.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

COLD = [
    "CREATE NAMESPACE app WITH OPTIONS (tier = 'gold')",
    "CREATE USER TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT NOT NULL, n INT) DELETED_RETENTION 7d",
    "CREATE SHARED TABLE app.every_type (id TEXT PRIMARY KEY, flag BOOLEAN, small SMALLINT, number INT, big BIGINT, "
    "single FLOAT, ratio DOUBLE, price DECIMAL(20,4), raw BYTES, at TIMESTAMP, day DATE, clock TIME, token UUID, "
    "payload JSON)",
    "CREATE STREAM TABLE app.events (id BIGINT PRIMARY KEY DEFAULT SNOWFLAKE_ID()) TTL 60 MAX_ROWS 100",
    "INSERT INTO app.every_type VALUES ('all', TRUE, -32768, 2147483647, -9223372036854775808, "
    "1.5, 2.25, 12.34, X'00ff', '2025-01-02T03:04:05.678901Z', '2025-01-02', '23:59:59.999999', "
    "'12345678-1234-5678-1234-567812345678', '{\"a\": [1]}')",
    "INSERT INTO app.notes VALUES (1, 'first', 1), (2, 'second', 2), (3, 'third', NULL)",
]
COLD_TOO = [
    "UPDATE app.notes SET n = 20 WHERE id = 2",
    "ALTER TABLE app.notes ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'",
]
HOT = [
    "DELETE FROM app.notes WHERE id = 3",
    "INSERT INTO app.every_type (id) VALUES ('nulls')",
    "ALTER TABLE app.notes ALTER COLUMN n TYPE BIGINT",
]
LOGGED = [
    "INSERT INTO app.notes VALUES (4, 'fourth', 4, 'glad')",
    "UPDATE app.notes SET n = 9223372036854775807 WHERE id = 4",
    "CREATE VIEW app.moods AS SELECT mood, count(*) AS n FROM app.notes GROUP BY mood",
]


def write(target: Path) -> None:
    """Run the statements in a new directory and copy it, open as it is, to `target`."""
    import kalamdb

    with tempfile.TemporaryDirectory() as scratch:
        db = kalamdb.open(os.path.join(scratch, "data"), wal_file_bytes=1 << 20)
        for statement in COLD:
            db.execute(statement)
        db.flush()
        for statement in COLD_TOO:
            db.execute(statement)
        db.session("alice").execute("INSERT INTO app.notes VALUES (1, 'alice''s', 1, 'well')")
        db.flush()
        for statement in HOT:
            db.execute(statement)
        db.checkpoint()
        for statement in LOGGED:
            db.execute(statement)
        shutil.copytree(
            os.path.join(scratch, "data"), target, ignore=shutil.ignore_patterns("LOCK", "spare-*")
        )
        db.close()
    for log in (target / "wal").iterdir():
        # What was only preallocated is left out.
        content = log.read_bytes().rstrip(b"\0")
        log.write_bytes(content + b"\0" * (-len(content) % 4096))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
