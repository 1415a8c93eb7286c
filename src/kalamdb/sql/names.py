"""Names: how a table is named in a statement, and which names a new thing may have."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kalamdb.errors import InvalidName

NAME_LENGTH_MAX = 64
RESERVED_NAMESPACES = frozenset({"system", "information_schema", "all_users"})
CATALOGS = {None: None, "kalam": None, "all_users": "all_users"}
"""What may stand before a namespace, and the catalog that it means. `kalam` is the database itself, as
information_schema tells it."""

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class TableName:
    """[[catalog.]namespace.]name as written, folded. The only catalog is `all_users`."""

    name: str
    namespace: str | None = None
    catalog: str | None = None
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return ".".join(part for part in (self.catalog, self.namespace, self.name) if part is not None)


def check_namespace_name(name: str, position: int | None = None) -> None:
    """Raises InvalidName unless a namespace may be created with this name."""
    _check_plain("namespace", name, position)
    if name in RESERVED_NAMESPACES:
        raise InvalidName(f'namespace name "{name}" is reserved; choose another', position=position)


def check_table_name(name: str, position: int | None = None) -> None:
    """Raises InvalidName unless a table or view may be created with this name."""
    _check_plain("table", name, position)


def check_storage_name(name: str, position: int | None = None) -> None:
    """Raises InvalidName unless a storage may be created with this name: it is part of a host's name too, where case
    does not count."""
    _check_plain("storage", name, position)
    if name != name.lower():
        raise InvalidName(
            f"storage name {printable(name)} has capital letters; write it in small ones", position=position
        )


def check_column_name(name: str, position: int | None = None) -> None:
    """Raises InvalidName unless a column may have this name: any text of 1 to 64 characters without control
    characters that does not begin with `_`."""
    _check_length("column", name, position)
    if name.startswith("_"):
        raise _underscore("column", name, position)
    if not name.isprintable() or name != name.strip():
        raise InvalidName(
            f"column name {printable(name)} has control characters or blanks at an end; leave them out",
            position=position,
        )


def _check_plain(what: str, name: str, position: int | None) -> None:
    _check_length(what, name, position)
    if name.startswith("_"):
        raise _underscore(what, name, position)
    if not _PLAIN.match(name):
        raise InvalidName(
            f"{what} name {printable(name)} is invalid; use a letter first, then letters, digits and _",
            position=position,
        )


def _check_length(what: str, name: str, position: int | None) -> None:
    if not name:
        raise InvalidName(f"a {what} name cannot be empty", position=position)
    if len(name) > NAME_LENGTH_MAX:
        raise InvalidName(
            f"{what} name {printable(name)} is too long; use up to {NAME_LENGTH_MAX} characters",
            position=position,
        )


def _underscore(what: str, name: str, position: int | None) -> InvalidName:
    return InvalidName(
        f"{what} name {printable(name)} is reserved; names that begin with _ belong to the system",
        position=position,
    )


def printable(name: str) -> str:
    """A name as a message shows it: quoted, hostile characters escaped, long ones cut."""
    shown = name if len(name) <= NAME_LENGTH_MAX else name[:NAME_LENGTH_MAX] + "…"
    if shown.isprintable():
        return f'"{shown}"'
    return '"' + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown) + '"'
