"""The reserved table of refresh tokens. Apart from kalamdb.auth.refresh, which only a server needs."""

from __future__ import annotations

from kalamdb.catalog.reserved import reserved_table
from kalamdb.types import BIGINT, TEXT, TIMESTAMP

REFRESH_TOKENS_ID = 16

REFRESH_TOKENS = reserved_table(
    REFRESH_TOKENS_ID,
    "refresh_tokens",
    (
        ("family_sha256", TEXT),
        ("secret_sha256", TEXT),
        ("user_id", TEXT),
        ("auth_epoch", BIGINT),
        ("created_at", TIMESTAMP),
        ("used_at", TIMESTAMP),
        ("expires_at", TIMESTAMP),
    ),
)
"""One row a family, which is all that came from one log-in; its newest token is the one that is good."""
