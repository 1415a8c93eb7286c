"""One statement, from its tree to its result: who executes it, and what right it needs.

Both are told by the name of the tree's class, and a family of executors is loaded with its first statement: most
programs never need most of them, and `import kalamdb` is to be quick.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kalamdb.auth import Action, Rights, authorize
from kalamdb.errors import StatementTooLarge

if TYPE_CHECKING:
    from kalamdb.execution.context import Context
    from kalamdb.result import Result


def execute(statement: Any, context: Context) -> Result:
    """Run one statement in its context."""
    try:
        return _executor(type(statement).__name__)(statement, context)
    except RecursionError:
        # A chain of what is no parenthesis (`- - - 1`, `1::INT::INT`) passes the limit of depth and is a deep tree.
        raise StatementTooLarge(
            "an expression of the statement is nested too deeply to be evaluated; write it as several"
        ) from None


def authorize_beforehand(statement: Any, rights: Rights) -> None:
    """Refuse what they may never run, before anything of its batch runs."""
    action = ACTIONS.get(type(statement).__name__)
    if action is not None:
        authorize(rights, action)


@functools.cache
def _executor(name: str) -> Callable[[Any, Context], Result]:
    module, function = EXECUTORS[name]
    executor: Callable[[Any, Context], Result] = getattr(
        importlib.import_module(f"kalamdb.execution.{module}"), function
    )
    return executor


EXECUTORS: Mapping[str, tuple[str, str]] = {
    "Query": ("select", "select"),
    "Explain": ("select", "explain"),
    "Insert": ("dml", "insert"),
    "Update": ("dml", "update"),
    "Delete": ("dml", "delete"),
    "CreateNamespace": ("ddl", "create_namespace"),
    "AlterNamespace": ("ddl", "alter_namespace"),
    "DropNamespace": ("ddl", "drop_namespace"),
    "CreateTable": ("ddl", "create_table"),
    "AlterTable": ("ddl", "alter_table"),
    "DropTable": ("ddl", "drop_table"),
    "CreateView": ("ddl", "create_view"),
    "DropView": ("ddl", "drop_view"),
    "ShowNamespaces": ("show", "show_namespaces"),
    "ShowTables": ("show", "show_tables"),
    "DescribeTable": ("show", "describe_table"),
    "ShowStats": ("show", "show_stats"),
    "FlushTable": ("jobs", "flush"),
    "FlushAll": ("jobs", "flush"),
    "CompactTable": ("jobs", "compact"),
    "CompactAll": ("jobs", "compact"),
    "ShowJobs": ("jobs", "show_jobs"),
    "KillJob": ("jobs", "kill_job"),
    "KillLiveQuery": ("live", "kill_live_query"),
    "Checkpoint": ("jobs", "checkpoint"),
    "CreateStorage": ("storage", "create_storage"),
    "AlterStorage": ("storage", "alter_storage"),
    "DropStorage": ("storage", "drop_storage"),
    "ShowStorages": ("storage", "show_storages"),
    "CheckStorage": ("storage", "check_storage_answers"),
    "Backup": ("backup", "backup"),
    "Restore": ("backup", "restore"),
    "ExportUserData": ("user_data", "export_user_data"),
    "EraseUserData": ("user_data", "erase_user_data"),
    "CreateUser": ("users", "create_user"),
    "AlterUser": ("users", "alter_user"),
    "DropUser": ("users", "drop_user"),
    "ShowUsers": ("users", "show_users"),
    "Grant": ("grants", "grant"),
    "Revoke": ("grants", "revoke"),
}
"""Module and function."""

ACTIONS: Mapping[str, Action] = {
    "CreateNamespace": Action.CHANGE_NAMESPACE,
    "AlterNamespace": Action.CHANGE_NAMESPACE,
    "DropNamespace": Action.CHANGE_NAMESPACE,
    "CreateTable": Action.CREATE_TABLE,
    "AlterTable": Action.ALTER_TABLE,
    "DropTable": Action.DROP_TABLE,
    "CreateView": Action.CREATE_VIEW,
    "DropView": Action.DROP_VIEW,
    "FlushTable": Action.FLUSH,
    "FlushAll": Action.FLUSH,
    "CompactTable": Action.FLUSH,
    "CompactAll": Action.FLUSH,
    "KillJob": Action.KILL_JOB,
    "Checkpoint": Action.FLUSH,
    "CreateStorage": Action.CHANGE_STORAGE,
    "AlterStorage": Action.CHANGE_STORAGE,
    "DropStorage": Action.CHANGE_STORAGE,
    "CheckStorage": Action.CHANGE_STORAGE,
    "ShowStorages": Action.READ_ADMINISTRATION,
    "Backup": Action.BACKUP,
    "Restore": Action.BACKUP,
    "ExportUserData": Action.EXPORT_OWN_DATA,
    "EraseUserData": Action.ERASE_DATA,
    "CreateUser": Action.CHANGE_USERS,
    "AlterUser": Action.CHANGE_OWN_ACCOUNT,
    "DropUser": Action.CHANGE_USERS,
    "ShowUsers": Action.READ_ADMINISTRATION,
    "Grant": Action.GRANT,
    "Revoke": Action.GRANT,
}

_CHANGE_NOTHING = frozenset(
    {
        "Backup",
        "ExportUserData",
        "CheckStorage",
        "ShowStorages",
        "ShowUsers",
        "FlushTable",
        "FlushAll",
        "CompactTable",
        "CompactAll",
        "KillJob",
        "Checkpoint",
    }
)
"""Of these, the ones that leave what exists as it is."""


def changes_what_exists(statement: Any) -> bool:
    """Whether it is DDL, and so stands outside of transactions."""
    name = type(statement).__name__
    return name in ACTIONS and name not in _CHANGE_NOTHING
