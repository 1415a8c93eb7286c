"""The reserved tables of users, grants, the audit log and refresh tokens: no part of the catalog's value, since nobody
needs all of their rows at once, and a new user must cost the others nothing.

Users are one partition, keyed by name; the names of those who were deleted are in another one, too,
and a third one tells the newest credentials of all who are gone for good, and no name. Grants have a
partition a user, keyed by the id of the table. The audit log is one partition, in the order of time, and refresh tokens
are one.
"""

from __future__ import annotations

from kalamdb.catalog.reserved import reserved_table
from kalamdb.schema import TableSchema
from kalamdb.types import BIGINT, JSON, TEXT, TIMESTAMP

USERS_ID = 8
GRANTS_ID = 9
AUDIT_LOG_ID = 10
REFRESH_TOKENS_ID = 11
ONE_PARTITION = b""
DELETED_USERS = b"deleted"
USERS_GONE = b"gone"

USERS = reserved_table(USERS_ID, "users", (("user_id", TEXT), ("definition", JSON)))
"""`root` has no row until something of it is changed."""
GRANTS = reserved_table(
    GRANTS_ID,
    "grants",
    (
        ("table_id", BIGINT),
        ("actions", TEXT),
        ("granted_by", TEXT),
        ("granted_at", TIMESTAMP),
    ),
)
"""`actions`: SELECT, INSERT, UPDATE, DELETE, those that are granted, joined by commas in this order."""
AUDIT_LOG = reserved_table(
    AUDIT_LOG_ID,
    "audit_log",
    (
        ("audit_id", BIGINT),
        ("at", TIMESTAMP),
        ("actor", TEXT),
        ("subject?", TEXT),
        ("action", TEXT),
        ("target?", TEXT),
        ("outcome", TEXT),
        ("address?", TEXT),
        ("details?", JSON),
    ),
)
"""`audit_id`: a Snowflake id, so that the order of keys is that of time."""

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

AUTH_TABLES: tuple[TableSchema, ...] = (USERS, GRANTS, AUDIT_LOG, REFRESH_TOKENS)
