"""Flush, compaction, checkpoint, and looking at jobs and ending them."""

import pytest

from kalamdb.errors import InvalidSyntax
from kalamdb.sql.jobs import Checkpoint, CompactAll, CompactTable, FlushAll, FlushTable, KillJob, ShowJobs
from kalamdb.sql.names import TableName


@pytest.mark.parametrize(
    ("sql", "statement"),
    [
        ("STORAGE FLUSH TABLE app.t", FlushTable(TableName("t", "app"))),
        ("storage flush table T", FlushTable(TableName("t"))),
        ("FLUSH TABLE t", FlushTable(TableName("t"))),
        ("STORAGE FLUSH ALL", FlushAll()),
        ("STORAGE FLUSH ALL IN app", FlushAll("app")),
        ("STORAGE COMPACT TABLE app.t", CompactTable(TableName("t", "app"))),
        ("STORAGE COMPACT ALL", CompactAll()),
        ("STORAGE COMPACT ALL IN app", CompactAll("app")),
        ("SHOW JOBS", ShowJobs()),
        ("KILL JOB 'it''s'", KillJob("it's")),
        ("checkpoint", Checkpoint()),
    ],
)
def test_reads(read, sql, statement):
    assert read(sql) == statement


@pytest.mark.parametrize(
    "sql",
    [
        "STORAGE FLUSH",
        "STORAGE FLUSH t",
        "FLUSH ALL",
        "FLUSH t",
        "STORAGE COMPACT ALL IN",
        "COMPACT TABLE t",
        "KILL JOB x",
        "KILL 'x'",
        "SHOW JOBS IN app",
        "CHECKPOINT app",
    ],
)
def test_is_a_syntax_error(read, sql):
    with pytest.raises(InvalidSyntax):
        read(sql)


@pytest.mark.parametrize("word", ["storage", "flush", "compact", "jobs", "job", "kill", "checkpoint"])
def test_its_words_are_names_elsewhere(read, word):
    assert read(f"STORAGE FLUSH TABLE {word}.{word}") == FlushTable(TableName(word, word))
