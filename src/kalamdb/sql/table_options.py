"""The options of CREATE TABLE: how they may be written, which values they take, and for which kinds of
tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from kalamdb.errors import InvalidDefinition, InvalidSyntax
from kalamdb.schema import TableKind, TableOptions
from kalamdb.sql.names import printable

LARGEST = 2**63 - 1
_HUNDRED_YEARS_H = 876_000
_LARGEST = {
    "ttl_s": _HUNDRED_YEARS_H * 3600,
    "flush_interval_s": _HUNDRED_YEARS_H * 3600,
    "deleted_retention_h": _HUNDRED_YEARS_H,
}
"""Times are added to others, in milliseconds too: none may come near the end of 64 bits."""
ACCESSES = ("public", "private", "restricted")
COMPRESSIONS = ("none", "snappy", "zstd")

_COLD = (TableKind.USER, TableKind.SHARED)
_KINDS = {
    "storage_id": _COLD,
    "use_user_storage": (TableKind.USER,),
    "flush_rows": _COLD,
    "flush_interval_s": _COLD,
    "deleted_retention_h": _COLD,
    "ttl_s": (TableKind.STREAM,),
    "max_rows": (TableKind.STREAM,),
    "access": (TableKind.SHARED,),
    "compression": _COLD,
}

_SECONDS = {
    "s": 1,
    "second": 1,
    "seconds": 1,
    "m": 60,
    "minute": 60,
    "minutes": 60,
    "h": 3600,
    "hour": 3600,
    "hours": 3600,
    "d": 86400,
    "day": 86400,
    "days": 86400,
}

_DURATION = re.compile(r"\s*([0-9]{1,18})\s*([A-Za-z]*)\s*\Z")


class Option(NamedTuple):
    """One option, however it was written: the field of TableOptions (or `kind`), its value, and its name in
    messages."""

    field: str
    value: Any
    label: str
    position: int | None = None


def options_of(table: str, kind: TableKind | None, options: list[Option]) -> tuple[TableKind, TableOptions]:
    """The table's kind and its options, checked against each other. Raises InvalidDefinition."""
    given: dict[str, Any] = {}
    for option in options:
        if option.field in given:
            raise InvalidDefinition(
                f"option {option.label} is given twice; give it once", position=option.position
            )
        given[option.field] = option.value
        if option.field in ("flush_rows", "max_rows", "ttl_s", "flush_interval_s", "deleted_retention_h"):
            _check_count(option)
    named = given.pop("kind", None)
    if named is not None and kind is not None and named is not kind:
        raise InvalidDefinition(
            f"TYPE = '{named.name}' contradicts CREATE {kind.name} TABLE; leave one of them out",
            position=_of(options, "kind"),
        )
    kind = kind or named or TableKind.SHARED
    for option in options:
        if kind not in _KINDS.get(option.field, (kind,)):
            allowed = " and ".join(allowed.name for allowed in _KINDS[option.field])
            raise InvalidDefinition(
                f"option {option.label} is for {allowed} tables, and {printable(table)} is a {kind.name} "
                "table; leave it out or change the kind",
                position=option.position,
            )
    if kind is TableKind.STREAM and "ttl_s" not in given:
        raise InvalidDefinition(
            f"STREAM table {printable(table)} needs a TTL; add TTL seconds after its columns"
        )
    return kind, TableOptions(**given)


def with_option(key: str, duration: tuple[object, str | None, int | None], label: str) -> Option:
    """The option that WITH (key = value) gives. `duration` is the value with its unit and position."""
    value, _, position = duration
    if key in ("table_type", "owner_id"):
        refuse_option(key, value, position)
    read = _READERS.get(key)
    if read is None:
        raise InvalidDefinition(
            f"unknown option {printable(key)}; the options are "
            f"{', '.join(sorted(k.upper() for k in _READERS))} and FLUSH_POLICY",
            position=position,
        )
    field, reader = read
    return Option(field, reader(duration, label), label, position)


def flush_policy_options(policy: object) -> list[Option]:
    """The options in 'rows:1000,interval:60'."""
    options = []
    for part in str(policy).split(","):
        name, colon, value = part.partition(":")
        match name.strip().lower():
            case "rows" if colon and value.strip().isascii() and value.strip().isdigit() and len(value) < 19:
                options.append(Option("flush_rows", int(value), "FLUSH_POLICY rows"))
            case "interval" if colon:
                options.append(
                    Option(
                        "flush_interval_s",
                        seconds(value, None, None, "FLUSH_POLICY"),
                        "FLUSH_POLICY interval",
                    )
                )
            case _:
                raise InvalidDefinition(
                    f"FLUSH_POLICY = {printable(str(policy))} cannot be read; write 'rows:n', "
                    "'interval:seconds' or 'rows:n,interval:seconds'"
                )
    return options


def refuse_option(key: str, value: object, position: int | None) -> NoReturn:
    """Raises InvalidSyntax for the options that other systems have; the message names the right form."""
    if key == "table_type":
        kind = str(value).upper()
        form = (
            f"CREATE {kind} TABLE" if kind in TableKind.__members__ else "CREATE USER, SHARED or STREAM TABLE"
        )
        raise InvalidSyntax(f"TABLE_TYPE is not an option; write {form} …", position=position)
    raise InvalidSyntax(
        "OWNER_ID is not an option; the owner of a row in a USER table is the session's user",
        position=position,
    )


def seconds(value: object, unit: str | None, position: int | None, label: str) -> int:
    """`60`, `60 s`, '5m', '24h' or '7d' in seconds."""
    number, unit = _number_and_unit(value, unit, position, label)
    return number * _SECONDS[unit or "s"]


def _hours(duration: tuple[object, str | None, int | None], label: str) -> int:
    value, unit, position = duration
    number, unit = _number_and_unit(value, unit, position, label)
    total = number * _SECONDS[unit or "h"]
    if total % 3600:
        raise InvalidDefinition(
            f"option {label} counts whole hours; write it as hours or days", position=position
        )
    return total // 3600


def _number_and_unit(
    value: object, unit: str | None, position: int | None, label: str
) -> tuple[int, str | None]:
    if isinstance(value, str) and unit is None and (match := _DURATION.match(value)):
        value, unit = int(match[1]), match[2].lower() or None
    if not isinstance(value, int) or isinstance(value, bool) or (unit is not None and unit not in _SECONDS):
        raise InvalidDefinition(
            f"option {label} takes a duration: a number, or a number with s, m, h or d such as '7d'",
            position=position,
        )
    return value, unit


def _check_count(option: Option) -> None:
    if isinstance(option.value, bool) or not isinstance(option.value, int) or option.value < 1:
        raise InvalidDefinition(
            f"option {option.label} takes a whole number from 1 on", position=option.position
        )
    largest = _LARGEST.get(option.field, LARGEST)
    if option.value > largest:
        shown = "100 years" if option.field in _LARGEST else f"{largest:,}"
        raise InvalidDefinition(f"option {option.label} takes at most {shown}", position=option.position)


def _of(options: list[Option], field: str) -> int | None:
    return next(option.position for option in options if option.field == field)


def _one_of(*words: str) -> Callable[[tuple[object, str | None, int | None], str], str]:
    def read(duration: tuple[object, str | None, int | None], label: str) -> str:
        value = str(duration[0]).lower()
        if value not in words:
            raise InvalidDefinition(
                f"option {label} takes {', '.join(words)}, not {printable(value)}", position=duration[2]
            )
        return value

    return read


def _kind(duration: tuple[object, str | None, int | None], label: str) -> TableKind:
    return TableKind(_one_of("user", "shared", "stream")(duration, label))


def _boolean(duration: tuple[object, str | None, int | None], label: str) -> bool:
    value = duration[0]
    return value if isinstance(value, bool) else _one_of("true", "false")(duration, label) == "true"


def _ttl(duration: tuple[object, str | None, int | None], label: str) -> int:
    return seconds(*duration, label)


def _text(duration: tuple[object, str | None, int | None], label: str) -> str:
    if not isinstance(duration[0], str) or not duration[0]:
        raise InvalidDefinition(f"option {label} takes a name", position=duration[2])
    return duration[0]


def _count(duration: tuple[object, str | None, int | None], label: str) -> object:
    value = duration[0]
    return (
        int(value)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19
        else value
    )


_READERS: dict[str, tuple[str, Callable[[tuple[object, str | None, int | None], str], Any]]] = {
    "type": ("kind", _kind),
    "storage_id": ("storage_id", _text),
    "use_user_storage": ("use_user_storage", _boolean),
    "deleted_retention_hours": ("deleted_retention_h", _hours),
    "ttl_seconds": ("ttl_s", _ttl),
    "max_rows": ("max_rows", _count),
    "access": ("access", _one_of(*ACCESSES)),
    "compression": ("compression", _one_of(*COMPRESSIONS)),
}
