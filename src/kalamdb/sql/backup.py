"""Data that leaves, comes back, or is gone for good: the statements of backup.lark."""

from __future__ import annotations

from dataclasses import dataclass

from kalamdb.sql.rules import Rules, Token


@dataclass(frozen=True, slots=True)
class Backup:
    """BACKUP DATABASE TO 'uri' | BACKUP NAMESPACE namespace TO 'uri'"""

    uri: str
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class Restore:
    """RESTORE DATABASE FROM 'uri' | RESTORE NAMESPACE namespace FROM 'uri'"""

    uri: str
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class ExportUserData:
    """EXPORT USER DATA FOR 'user' TO 'path'"""

    user: str
    path: str


@dataclass(frozen=True, slots=True)
class EraseUserData:
    """ERASE USER DATA FOR 'user'"""

    user: str


class BackupRules(Rules):
    """The rules of backup.lark."""

    def backup_database(self, uri: Token) -> Backup:
        return Backup(uri.fixed)

    def backup_namespace(self, namespace: Token, uri: Token) -> Backup:
        return Backup(uri.fixed, namespace.value)

    def restore_database(self, uri: Token) -> Restore:
        return Restore(uri.fixed)

    def restore_namespace(self, namespace: Token, uri: Token) -> Restore:
        return Restore(uri.fixed, namespace.value)

    def export_user_data(self, user: Token, path: Token) -> ExportUserData:
        return ExportUserData(user.fixed, path.fixed)

    def erase_user_data(self, user: Token) -> EraseUserData:
        return EraseUserData(user.fixed)
