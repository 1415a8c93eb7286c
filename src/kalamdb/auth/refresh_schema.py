"""The reserved table of refresh tokens. Apart from kalamdb.auth.refresh, which only a server needs."""

from __future__ import annotations

import datetime

from kalamdb.schema import Column, TableKind, TableOptions, TableSchema
from kalamdb.types import BIGINT, TEXT, TIMESTAMP, DataType

REFRESH_TOKENS_ID = 16

_AT = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
_COLUMNS: tuple[tuple[str, DataType], ...] = (
    ("family_sha256", TEXT),
    ("secret_sha256", TEXT),
    ("user_id", TEXT),
    ("auth_epoch", BIGINT),
    ("created_at", TIMESTAMP),
    ("used_at", TIMESTAMP),
    ("expires_at", TIMESTAMP),
)

REFRESH_TOKENS = TableSchema(
    table_id=REFRESH_TOKENS_ID,
    namespace="_kalam",
    name="refresh_tokens",
    kind=TableKind.SHARED,
    columns=tuple(
        Column(id=number, name=name, type=type_, nullable=False)
        for number, (name, type_) in enumerate(_COLUMNS, 1)
    ),
    primary_key="family_sha256",
    options=TableOptions(),
    version=1,
    created_at=_AT,
    updated_at=_AT,
    next_column_id=len(_COLUMNS) + 1,
)
"""One row a family, which is all that came from one log-in; its newest token is the one that is good."""
