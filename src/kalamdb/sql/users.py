"""Users and grants: the statements of users.lark."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kalamdb.errors import InvalidSyntax
from kalamdb.sql.names import TableName
from kalamdb.sql.rules import Rules, Token


@dataclass(frozen=True, slots=True)
class UserParts:
    """What a statement says of a user; None where it says nothing, "" where it takes something away."""

    password: str | None = field(default=None, repr=False)
    role: str | None = None
    email: str | None = None
    storage: str | None = None
    storage_mode: str | None = None


@dataclass(frozen=True, slots=True)
class CreateUser:
    """CREATE USER [IF NOT EXISTS] user [WITH] [PASSWORD 'p'] [ROLE r] [EMAIL 'e']"""

    user: str
    parts: UserParts
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class AlterUser:
    """ALTER USER user SET PASSWORD 'p' | ROLE r | EMAIL 'e' | STORAGE s | STORAGE MODE m, …"""

    user: str
    parts: UserParts


@dataclass(frozen=True, slots=True)
class DropUser:
    """DROP USER [IF EXISTS] user"""

    user: str
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class ShowUsers:
    """SHOW USERS"""


@dataclass(frozen=True, slots=True)
class Grant:
    """GRANT privilege, … ON [TABLE] table TO user, …; `privileges` in capitals, in the order of the text."""

    privileges: tuple[str, ...]
    table: TableName
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Revoke:
    """REVOKE privilege, … ON [TABLE] table FROM user, …"""

    privileges: tuple[str, ...]
    table: TableName
    users: tuple[str, ...]


_Part = tuple[str, str, Token]
_ALL = ("SELECT", "INSERT", "UPDATE", "DELETE")


class UserRules(Rules):
    """The rules of users.lark."""

    def create_user(self, if_not_exists: bool | None, name: Token, *parts: _Part) -> CreateUser:
        return CreateUser(name.value, _parts(parts), bool(if_not_exists))

    def alter_user(self, name: Token, *parts: _Part | None) -> AlterUser:
        return AlterUser(name.value, _parts([part for part in parts if part is not None]))

    def drop_user(self, if_exists: bool | None, name: Token) -> DropUser:
        return DropUser(name.value, bool(if_exists))

    def show_users(self) -> ShowUsers:
        return ShowUsers()

    def user_password(self, text: Token) -> _Part:
        return "password", text.value, text

    def user_role(self, word: Token) -> _Part:
        return "role", word.value, word

    def user_email(self, text: Token) -> _Part:
        return "email", text.value, text

    def user_storage(self, word: Token) -> _Part:
        return "storage", word.value, word

    def user_storage_mode(self, word: Token) -> _Part:
        return "storage_mode", word.value.lower(), word

    def grant(self, privileges: tuple[str, ...], table: TableName, users: tuple[str, ...]) -> Grant:
        return Grant(privileges, table, users)

    def revoke(self, privileges: tuple[str, ...], table: TableName, users: tuple[str, ...]) -> Revoke:
        return Revoke(privileges, table, users)

    def all_privileges(self) -> tuple[str, ...]:
        return _ALL

    def privileges(self, *names: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(names))

    def may_select(self) -> str:
        return "SELECT"

    def may_insert(self) -> str:
        return "INSERT"

    def may_update(self) -> str:
        return "UPDATE"

    def may_delete(self) -> str:
        return "DELETE"

    def users(self, *names: Token) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name.value for name in names))


def _parts(parts: Any) -> UserParts:
    given: dict[str, Any] = {}
    for label, value, token in parts:
        if label in given:
            shown = label.upper().replace("_", " ")
            raise InvalidSyntax(f"{shown} is said twice; say it once", position=token.start_pos)
        given[label] = value
    return UserParts(**given)
