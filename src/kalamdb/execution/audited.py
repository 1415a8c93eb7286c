"""What the audit log says of a statement: its kind, and what it is about. Never its text, which may hold secrets."""

from __future__ import annotations

import re
from typing import Any

from kalamdb.auth.audit import SUCCESS, AuditEntry

_KINDS = {
    "Query": "SELECT",
    "FlushTable": "STORAGE FLUSH",
    "FlushAll": "STORAGE FLUSH",
    "CompactTable": "STORAGE COMPACT",
    "CompactAll": "STORAGE COMPACT",
    "CheckStorage": "STORAGE CHECK",
    "BulkInsert": "INSERT",
}
_ABOUT = ("table", "view", "user", "storage", "name", "namespace", "job_id", "live_id", "uri")
"""Fields of a statement that tell what it is about, the first that is there."""
_WITH_A_ROW_OF_ITS_OWN = frozenset(
    {"Backup", "Restore", "ExportUserData", "EraseUserData", "KillJob", "KillLiveQuery"}
)
"""What changes no catalog, so that its row is a commit by itself, once it is done."""


def kind_of(statement: Any) -> str:
    """`CREATE TABLE`, `SELECT`, …"""
    name = type(statement).__name__
    return _KINDS.get(name) or re.sub(r"(?<!^)(?=[A-Z])", " ", name).upper()


def target_of(statement: Any) -> str | None:
    """The table, user, storage, … by the name in the statement."""
    for field in _ABOUT:
        value = getattr(statement, field, None)
        if value is not None:
            return str(value)
    return None


def is_audited(statement: Any) -> bool:
    """Whether it has a row once it has succeeded, which nothing that it did has written."""
    return type(statement).__name__ in _WITH_A_ROW_OF_ITS_OWN


def entry_of(
    statement: Any, actor: str, subject: str | None, address: str | None, outcome: str = SUCCESS
) -> AuditEntry:
    """Its row. `subject`: for whom it was, where that is another than the actor."""
    return AuditEntry(
        actor,
        kind_of(statement),
        outcome,
        target=target_of(statement),
        subject=None if subject == actor else subject,
        address=address,
        details=_details(statement),
    )


def entry_of_reading(target: str, actor: str, subject: str, address: str | None) -> AuditEntry:
    """The row of what is read across users."""
    other = None if subject == actor else subject
    return AuditEntry(actor, "SELECT", SUCCESS, target=target, subject=other, address=address)


def _details(statement: Any) -> dict[str, object] | None:
    """What else there is to know: of a user what is changed, though no password; of a grant, what and to whom."""
    parts = getattr(statement, "parts", None)
    if parts is not None and hasattr(parts, "role"):
        said = {name: getattr(parts, name) for name in ("role", "email", "storage", "storage_mode")}
        found: dict[str, object] = {name: value for name, value in said.items() if value is not None}
        if parts.password is not None:
            found["password"] = "changed"
        return found or None
    if hasattr(statement, "privileges"):
        return {"privileges": list(statement.privileges), "users": list(statement.users)}
    return None
