"""Pages of the site that are made from the installed code, so that they say what it does: no fact is written twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import http_calls

from kalamdb import errors
from kalamdb.catalog.compat_tables import COMPAT_TABLES
from kalamdb.catalog.system_tables import _TABLES
from kalamdb.cli.kalam import kalam
from kalamdb.server import refusals
from kalamdb.server.error_answer import ANSWERS
from kalamdb.settings import Settings

GRAMMAR = Path(__file__).parents[2] / "grammar"
NAMES = ("grammar.md", "settings.md", "errors.md", "system-tables.md", "command-line.md", http_calls.NAME)

ROWS_OF = {
    "system.users": "users, deleted ones too; for dba and system",
    "system.namespaces": "namespaces",
    "system.tables": "tables and views",
    "system.columns": "columns of tables",
    "system.schemas": "versions of tables' schemas, one for each ALTER",
    "system.storages": "storages, credentials masked; for dba and system",
    "system.jobs": "[jobs](sql.md#jobs) of the time that `job_retention_d` says",
    "system.live_queries": "[live queries](live.md) that are open; one's own, or all for dba and system",
    "system.audit_log": "[what was done to users and rights](access.md), and what was refused; for dba and system",
    "system.settings": "[settings](settings.md); for dba and system",
    "system.stats": "[figures](python.md#figures)",
    "information_schema.tables": "tables and views, as the SQL standard has them",
    "information_schema.columns": "columns",
    "information_schema.table_privileges": "what is granted",
    "information_schema.schemata": "namespaces",
    "system.live": "the same as system.live_queries",
    "system.sessions": "the session that asks",
    "system.cluster": "the one node that there is",
}


def pages() -> dict[str, str]:
    """Each page's text by its place."""
    texts = (_grammar(), _settings(), _errors(), _system_tables(), _command_line(), http_calls.page())
    return dict(zip(NAMES, texts, strict=True))


def _grammar() -> str:
    parts = [
        "# Grammar\n\nWhat [SQL](sql.md) means is told there; this is the grammar as the parser reads it (Lark), "
        "chapter by chapter. SELECT, WITH and VALUES go to DataFusion, within [the limits](sql.md#limits).\n"
    ]
    for path in sorted(GRAMMAR.glob("*.lark")):
        parts.append(f"\n## {path.stem}\n\n```text\n{path.read_text(encoding='utf-8').strip()}\n```\n")
    return "".join(parts)


def _settings() -> str:
    rows = [
        f"| `{row.name}` | `{row.default_value or 'none'}` | {_cell(row.description)} |"
        for row in Settings().described()
    ]
    return (
        "# Settings\n\nWhere they are given and what they have to do with each other is told in "
        "[Python](python.md#settings) and for [the server](server.md#settings). "
        "Secrets are no settings: `KALAM_MASTER_KEY`, `KALAM_JWT_SECRET` and "
        "`KALAM_METRICS_TOKEN` come from the environment alone.\n\n"
        "| setting | default | meaning |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"
    )


def _errors() -> str:
    rows = [
        f"| `{kind.code}` | `{kind.__name__}` | {kind.sqlstate} | {_status(kind)} | {_first_sentence(kind)} |"
        for kind in sorted(_error_classes(), key=lambda kind: (kind.code, kind.__name__))
    ]
    return (
        "# Error codes\n\nEach is a class below [`kalamdb.Error`](python.md#errors). Over HTTP an error without a "
        "status of its own is told as SQL_EXECUTION_ERROR, its class in `details` ([HTTP](http.md#errors)); "
        "[WebSocket](websocket.md) has its own codes beside these.\n\n"
        "| code | class | SQLSTATE | HTTP | meaning |\n| --- | --- | --- | --- | --- |\n"
        + "\n".join(rows)
        + "\n"
    )


def _error_classes() -> Iterator[type[errors.Error]]:
    for module in (errors, refusals):
        for kind in vars(module).values():
            if (
                isinstance(kind, type)
                and issubclass(kind, errors.Error)
                and kind.__module__ == module.__name__
            ):
                yield kind


def _status(kind: type[errors.Error]) -> str:
    told = next(ANSWERS[one] for one in kind.__mro__ if one in ANSWERS)
    return f"{told.status}" + (f" `{told.code}`" if told.code and told.code != kind.code else "")


def _system_tables() -> str:
    parts = [
        "# System tables and columns\n\nRead only, but for [UPDATE system.users](sql.md#users-and-grants). Everybody "
        "sees of them what they may read.\n\n## Columns of every table\n\n"
        "They are not part of `*`: name them.\n\n| column | type | |\n| --- | --- | --- |\n"
        "| `_seq` | BIGINT | larger for a later write |\n"
        "| `_updated` | TIMESTAMP | of the last write |\n"
        "| `_deleted` | BOOLEAN | USER and SHARED tables; a statement that names it sees "
        "[deleted rows](storage.md#deleted-rows) |\n"
        "| `_user` | TEXT | of `all_users.namespace.table` alone, and there part of `*`: whose row it is |\n"
    ]
    for name, table in _TABLES.items():
        parts.append(_columns(name, table.columns))
    parts.append(
        "\n## With the profile kalamdb-0.4\n\n[The profile](server.md#the-profile-kalamdb-04) has these, too.\n"
    )
    for name, table in COMPAT_TABLES.items():
        parts.append(_columns(name, table.columns).replace("\n## ", "\n### ", 1))
    return "".join(parts)


def _columns(name: str, columns: tuple[tuple[str, object, bool], ...]) -> str:
    head = (
        f"\n## {name}\n\nRows: {ROWS_OF.get(name, 'figures')}.\n\n| column | type | |\n| --- | --- | --- |\n"
    )
    rows = [
        f"| `{column}` | {type_} | {'' if nullable else 'NOT NULL'} |" for column, type_, nullable in columns
    ]
    return head + "\n".join(rows) + "\n"


def _command_line() -> str:
    parts = [
        "# The command kalam\n\n`pip install kalamdb[cli]`; also `python -m kalamdb`. Exit status: 0, 1 of an error, 2 "
        "of wrong usage.\n"
    ]
    context = click.Context(kalam, info_name="kalam", terminal_width=100, max_content_width=100)
    parts.append(f"\n```text\n{kalam.get_help(context)}\n```\n")
    for command, below in _commands(kalam, context):
        parts.append(f"\n## {below.command_path}\n\n```text\n{command.get_help(below)}\n```\n")
    return "".join(parts)


def _commands(group: click.Group, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        below = click.Context(
            command, info_name=name, parent=context, terminal_width=100, max_content_width=100
        )
        yield command, below
        if isinstance(command, click.Group):
            yield from _commands(command, below)


def _first_sentence(kind: type) -> str:
    return _cell((kind.__doc__ or "").split("\n\n")[0])


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()
