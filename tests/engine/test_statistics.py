"""The figures of a database: by the three ways to ask for them, and as the documents have them."""

from __future__ import annotations

import re
from pathlib import Path

import kalamdb
from kalamdb.engine.statistics import FIGURES

DOCUMENT = Path(__file__).parents[2] / "docs" / "python.md"


def test_stats_are_the_figures_that_are_documented(db):
    text = DOCUMENT.read_text(encoding="utf-8").split("## Figures")[1].split("\n## ")[0]

    assert re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE) == list(FIGURES.items())
    assert list(db.stats()) == list(FIGURES)


def test_system_stats_are_the_same(notes):
    shown = dict(notes.execute("SELECT name, value FROM system.stats").fetchall())

    assert shown.keys() == FIGURES.keys()
    assert shown == notes.stats() | {name: shown[name] for name in ("log_bytes", "jobs")}


def test_rows_are_counted_in_the_tier_where_they_are(notes):
    before = notes.stats()
    notes.session("alice", role="service").executemany(
        "INSERT INTO app.notes VALUES (?, 'x')", [[n] for n in range(100)]
    )
    in_memory = notes.stats()
    assert in_memory["memtable_entries"] - before["memtable_entries"] == 100
    assert in_memory["rows"] - before["rows"] == 100
    assert in_memory["log_bytes"] > before["log_bytes"]

    notes.checkpoint()
    hot = notes.stats()
    assert (hot["memtable_entries"], hot["cold_rows"]) == (0, 0)
    assert hot["hot_rows"] >= 100
    assert hot["segments"] == hot["hot_segments"] > 0

    notes.flush()
    cold = notes.stats()
    assert (cold["cold_partitions"], cold["cold_segments"], cold["cold_rows"]) == (1, 1, 100)
    (file,) = (Path(notes.path) / "cold" / "app" / "notes").glob("*.parquet")
    assert cold["cold_bytes"] == file.stat().st_size
    assert cold["segments"] == cold["hot_segments"] + 1
    assert cold["bytes"] == cold["log_bytes"] + cold["hot_bytes"] + cold["cold_bytes"]
    assert cold["hot_rows"] < 100


def test_memory_is_the_sum_of_what_takes_it(notes):
    notes.session("alice", role="service").executemany(
        "INSERT INTO app.notes VALUES (?, 'x')", [[n] for n in range(100)]
    )
    notes.flush()
    assert notes.execute("SELECT body FROM app.notes WHERE id = 7").fetchone() == ("x",)
    found = notes.stats()

    assert found["cold_cache_bytes"] > 0
    assert found["memory_bytes"] == sum(
        found[name]
        for name in (
            "memtable_bytes",
            "stream_bytes",
            "hot_index_bytes",
            "hot_cache_bytes",
            "cold_cache_bytes",
        )
    )


def test_figures_of_cold_rows_ask_no_storage(directory, tmp_path):
    with kalamdb.open(directory) as db:
        db.execute(f"CREATE STORAGE far TYPE filesystem URI '{tmp_path / 'far'}'")
        db.execute(
            "CREATE TABLE notes (id BIGINT PRIMARY KEY) STORAGE far; INSERT INTO notes VALUES (1), (2)"
        )
        db.flush()
    (tmp_path / "far").rename(tmp_path / "away")
    with kalamdb.open(directory) as db:
        assert db.stats()["cold_rows"] == 2
