"""The permission table: which role may do what, and to whose rows. There is no other.

Two tables make it one: ROWS for what is done to the rows of a table, by whose they are (Reach), and STATEMENTS for
everything else. docs/access.md shows both, and a test keeps it so.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from kalamdb.schema import TableKind, TableSchema


class Role(enum.StrEnum):
    """What a session's user may do; `user` is the default."""

    USER = "user"
    SERVICE = "service"
    DBA = "dba"
    SYSTEM = "system"


class Rule(enum.Enum):
    """What the table says of a role."""

    NO = "no"
    BY_GRANT = "by grant"
    YES = "yes"


class Reach(enum.Enum):
    """Whose rows a table holds: the own partition of a USER or STREAM table, or a SHARED table by its ACCESS."""

    OWN = "own partition of a USER or STREAM table"
    PUBLIC = "SHARED public"
    PRIVATE = "SHARED private"
    RESTRICTED = "SHARED restricted"


class Action(enum.Enum):
    """One thing a statement does; the value is what a refusal calls it."""

    SELECT = "read"
    INSERT = "insert into"
    UPDATE = "update"
    DELETE = "delete from"
    GRANT = "grant or revoke"
    CREATE_TABLE = "create tables"
    ALTER_TABLE = "alter tables"
    DROP_TABLE = "drop tables"
    CREATE_VIEW = "create views"
    DROP_VIEW = "drop views"
    CHANGE_NAMESPACE = "create, alter or drop namespaces"
    FLUSH = "flush, compact or checkpoint tables"
    SEE_ALL_JOBS = "see the jobs of others"
    KILL_JOB = "kill jobs"
    SEE_ALL_STATISTICS = "see the figures of the database"
    SEE_ALL_LIVE_QUERIES = "see the live queries of others"
    KILL_ANY_LIVE_QUERY = "kill the live queries of others"
    CHANGE_STORAGE = "create, alter, drop or check storages"
    BACKUP = "back up or restore"
    EXPORT_OWN_DATA = "export its own data"
    EXPORT_ANY_DATA = "export the data of another user"
    ERASE_DATA = "erase the data of users"
    READ_ALL_USERS = "read all_users"
    READ_ADMINISTRATION = "read administration tables"
    CHANGE_OWN_ACCOUNT = "change its own password and email"
    CHANGE_USERS = "create, alter or drop users"
    CHANGE_SYSTEM_USERS = "create, alter or drop users of role system, or give that role"


ROW_ACTIONS = (Action.SELECT, Action.INSERT, Action.UPDATE, Action.DELETE)
"""What can be granted. SUBSCRIBE and EXPLAIN are as the SELECT."""

_ALL_YES = dict.fromkeys(Role, Rule.YES)
_FROM_SERVICE = {**_ALL_YES, Role.USER: Rule.NO}
_FROM_SERVICE_OR_GRANT = {**_ALL_YES, Role.USER: Rule.BY_GRANT}
_FROM_DBA = {**_FROM_SERVICE, Role.SERVICE: Rule.NO}
_FROM_DBA_OR_GRANT = {**_FROM_SERVICE_OR_GRANT, Role.SERVICE: Rule.BY_GRANT}
_SYSTEM_ALONE = {**_FROM_DBA, Role.DBA: Rule.NO}

ROWS: Mapping[Reach, Mapping[Action, Mapping[Role, Rule]]] = {
    Reach.OWN: dict.fromkeys(ROW_ACTIONS, _ALL_YES),
    Reach.PUBLIC: {**dict.fromkeys(ROW_ACTIONS, _FROM_SERVICE_OR_GRANT), Action.SELECT: _ALL_YES},
    Reach.PRIVATE: dict.fromkeys(ROW_ACTIONS, _FROM_SERVICE),
    Reach.RESTRICTED: dict.fromkeys(ROW_ACTIONS, _FROM_DBA_OR_GRANT),
}

STATEMENTS: Mapping[Action, Mapping[Role, Rule]] = {
    Action.GRANT: _FROM_DBA,
    Action.CREATE_TABLE: _FROM_SERVICE,
    Action.ALTER_TABLE: _FROM_SERVICE,
    Action.DROP_TABLE: _FROM_DBA,
    Action.CREATE_VIEW: _FROM_SERVICE,
    Action.DROP_VIEW: _FROM_SERVICE,
    Action.CHANGE_NAMESPACE: _FROM_DBA,
    Action.FLUSH: _FROM_SERVICE,
    Action.SEE_ALL_JOBS: _FROM_SERVICE,
    Action.KILL_JOB: _FROM_DBA,
    Action.SEE_ALL_STATISTICS: _FROM_SERVICE,
    Action.SEE_ALL_LIVE_QUERIES: _FROM_SERVICE,
    Action.KILL_ANY_LIVE_QUERY: _FROM_DBA,
    Action.CHANGE_STORAGE: _FROM_DBA,
    Action.BACKUP: _FROM_DBA,
    Action.EXPORT_OWN_DATA: _ALL_YES,
    Action.EXPORT_ANY_DATA: _FROM_DBA,
    Action.ERASE_DATA: _FROM_DBA,
    Action.READ_ALL_USERS: _FROM_DBA,
    Action.READ_ADMINISTRATION: _FROM_DBA,
    Action.CHANGE_OWN_ACCOUNT: _ALL_YES,
    Action.CHANGE_USERS: _FROM_DBA,
    Action.CHANGE_SYSTEM_USERS: _SYSTEM_ALONE,
}

ACTS_AS: Mapping[Role, frozenset[Role]] = {
    Role.USER: frozenset(),
    Role.SERVICE: frozenset({Role.USER, Role.SERVICE}),
    Role.DBA: frozenset({Role.USER, Role.SERVICE, Role.DBA}),
    Role.SYSTEM: frozenset(Role),
}
"""As users of which roles a role may EXECUTE AS USER. As itself everybody may."""

DEFAULT_ACCESS = "public"
_REACHES = {"public": Reach.PUBLIC, "private": Reach.PRIVATE, "restricted": Reach.RESTRICTED}


def reach_of(table: TableSchema) -> Reach:
    """Whose rows a table holds, for whoever asks."""
    if table.kind is not TableKind.SHARED:
        return Reach.OWN
    return _REACHES[table.options.access or DEFAULT_ACCESS]
