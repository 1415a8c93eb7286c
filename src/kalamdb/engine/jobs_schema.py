"""The reserved table of jobs, and where in it a job stands.

Jobs change often, and nobody needs all of them at once, so they are no part of the catalog's value. The table has two
partitions: OPEN holds what has not ended, ENDED the rest; a job moves from one to the other in one commit. So what a
crash interrupted is found at open without a look at the history, however long that is.

Apart from kalamdb.engine.jobs, which a database imports with its first job.
"""

from __future__ import annotations

import datetime

from kalamdb.schema import Column, TableKind, TableOptions, TableSchema
from kalamdb.types import BIGINT, INT, JSON, TEXT, TIMESTAMP, DataType

JOBS_ID = 6
OPEN = b""
ENDED = b"ended"

_AT = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
_COLUMNS: tuple[tuple[str, DataType, bool], ...] = (
    ("job_id", TEXT, False),
    ("job_type", TEXT, False),
    ("status", TEXT, False),
    ("namespace", TEXT, True),
    ("table_name", TEXT, True),
    ("parameters", JSON, False),
    ("actor", TEXT, True),
    ("attempt", INT, False),
    ("result", TEXT, True),
    ("error", TEXT, True),
    ("rows", BIGINT, True),
    ("bytes", BIGINT, True),
    ("created_at", TIMESTAMP, False),
    ("started_at", TIMESTAMP, True),
    ("finished_at", TIMESTAMP, True),
)

JOBS = TableSchema(
    table_id=JOBS_ID,
    namespace="_kalam",
    name="jobs",
    kind=TableKind.SHARED,
    columns=tuple(
        Column(id=number, name=name, type=type_, nullable=nullable)
        for number, (name, type_, nullable) in enumerate(_COLUMNS, 1)
    ),
    primary_key="job_id",
    options=TableOptions(),
    version=1,
    created_at=_AT,
    updated_at=_AT,
    next_column_id=len(_COLUMNS) + 1,
)
"""`job_id` is a UUID of version 7, so that the table is sorted by the time when jobs were made."""
