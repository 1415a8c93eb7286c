"""Users and grants: read when somebody is met, kept while nothing of them changes.

Every change raises `version`. A session compares it with the one that it knows before each statement, and asks anew
where it is another: so a new role, a grant, a revocation and a deletion are in force with the next statement of every
open session, and cost a session one comparison of integers while nothing changes.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kalamcore import errors as core
from kalamcore.store import WriteBatch
from kalamdb.auth.account import (
    ROOT,
    Account,
    decode_account,
    decode_gone,
    encode_account,
    encode_gone,
    next_credentials,
    root_account,
    shown_user,
)
from kalamdb.auth.permissions import ROW_ACTIONS, Action, Role
from kalamdb.auth.reserved import (
    AUTH_TABLES,
    DELETED_USERS,
    GRANTS,
    GRANTS_ID,
    ONE_PARTITION,
    USERS,
    USERS_GONE,
    USERS_ID,
)
from kalamdb.auth.rights import BY_ROLE, Rights
from kalamdb.engine.core_errors import core_errors_translated
from kalamdb.errors import AccessDenied, Corruption, DuplicateObject, SerializationFailure

if TYPE_CHECKING:
    from kalamdb.engine import Engine

KEPT_MAX = 16_384
"""Users whose rights are kept; beyond it they are asked for anew."""
_ATTEMPTS_MAX = 100

Also = Callable[[WriteBatch], None]
"""Puts more into the commit of a change, such as its row in the audit log."""


def nothing_more(batch: WriteBatch) -> None:
    """Nothing but the change itself."""


class Grant:
    """What of one table is granted to one user."""

    __slots__ = ("actions", "granted_at", "granted_by", "table_id", "user_id")

    def __init__(
        self,
        user_id: str,
        table_id: int,
        actions: frozenset[Action],
        granted_by: str,
        granted_at: datetime.datetime,
    ) -> None:
        self.user_id = user_id
        self.table_id = table_id
        self.actions = actions
        self.granted_by = granted_by
        self.granted_at = granted_at


class Accounts:
    """The users of a database and what is granted to them. Safe for threads."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        """`engine`: the one that is open now; read-only databases change it."""
        self._engine = engine
        self._users = engine().rows(USERS, [USERS])
        self._grants = engine().rows(GRANTS, [GRANTS])
        self._writing = threading.Lock()
        self._known: dict[str, Rights] = {}
        self._met: set[str] = set()
        """Users among them who were looked up and are there."""
        self.version = 1
        """Another one as soon as a change is there for all."""
        self.on_change: Callable[[], None] = _nobody_listens
        """Called after each change."""

    @staticmethod
    def define(engine: Engine) -> None:
        """Let the engine know the reserved tables."""
        for schema in AUTH_TABLES:
            engine.define(schema, [schema])

    # Reading

    def find(self, user_id: str) -> Account | None:
        """The user, a deleted one too, or None. `root` is always there."""
        engine = self._engine()
        key = self._users.encode_key(user_id)
        with core_errors_translated():
            values = engine.store.get(USERS_ID, ONE_PARTITION, key, engine.snapshot(), self._users.reader)
        if values is None:
            return root_account() if user_id == ROOT else None
        return decode_account(user_id, str(values[1]))

    def all(self) -> list[Account]:
        """Every user by name, deleted ones too."""
        engine = self._engine()
        with core_errors_translated():
            rows: list[Any] = engine.store.scan(
                USERS_ID, ONE_PARTITION, engine.snapshot(), self._users.reader
            )
        found = {user_id: decode_account(user_id, definition) for user_id, definition in rows}
        found.setdefault(ROOT, root_account())
        return [account for _, account in sorted(found.items())]

    def any_deleted(self) -> bool:
        """Whether a user was deleted and is still kept."""
        engine = self._engine()
        return engine.store.count(USERS_ID, DELETED_USERS, engine.snapshot()) > 0

    def deleted(self) -> list[Account]:
        """The users who were deleted and are still kept, by name. Costs what there are of them."""
        engine = self._engine()
        rows: list[Any] = engine.store.scan(USERS_ID, DELETED_USERS, engine.snapshot(), self._users.reader)
        found = (self.find(user_id) for user_id, _ in rows)
        return [account for account in found if account is not None and account.deleted_at is not None]

    def grants_of(self, user_id: str) -> list[Grant]:
        """What is granted to a user, by the ids of tables; those of tables that are gone, too."""
        engine = self._engine()
        with core_errors_translated():
            rows: list[Any] = engine.store.scan(
                GRANTS_ID, user_id.encode(), engine.snapshot(), self._grants.reader
            )
        return [_grant(user_id, values) for values in rows]

    def all_grants(self) -> list[Grant]:
        """What is granted to anybody, by user."""
        engine = self._engine()
        users = sorted(engine.store.partitions(GRANTS_ID))
        return [grant for user in users for grant in self.grants_of(user.decode())]

    def rights_of(self, user_id: str, given: Role | None = None, *, must_exist: bool = False) -> Rights:
        """What a user may do now. `given`: the role that the application gave, whatever the user's own is.

        A name that no user has gets the role `user`, unless it `must_exist`. Raises AccessDenied for a user who was
        deleted, and for one that is not there and must be.
        """
        version = self.version
        rights = self._known.get(user_id)
        if rights is None or (must_exist and user_id not in self._met):
            account = self.find(user_id)
            if account is None and must_exist:
                raise AccessDenied("permission denied: this user does not exist; a dba can CREATE it")
            if account is not None and account.deleted_at is not None:
                raise AccessDenied("permission denied: this user was deleted; a dba can bring the user back")
            role = Role.USER if account is None else account.role
            grants = {grant.table_id: grant.actions for grant in self.grants_of(user_id)}
            rights = Rights(role, grants) if grants else BY_ROLE[role]
            with self._writing:
                # A change that came meanwhile has forgotten what was known, and this may be what was before it.
                if self.version == version:
                    if len(self._known) >= KEPT_MAX:
                        self._known, self._met = {}, set()
                    self._known[user_id] = rights
                    if account is not None:
                        self._met.add(user_id)
        if given is None or given is rights.role:
            return rights
        return Rights(given, rights.grants) if rights.grants else BY_ROLE[given]

    # Changing

    def create(self, account: Account, also: Also = nothing_more) -> None:
        """Make a user. Raises DuplicateObject for a name that is taken, by a deleted user too."""

        def put(batch: WriteBatch) -> None:
            if self.find(account.user_id) is not None:
                raise DuplicateObject(f"user {shown_user(account.user_id)} already exists")
            self._put(batch, account)

        self._change(put, also)

    def replace(
        self, user_ids: Sequence[str], change: Callable[[Account], Account], also: Also = nothing_more
    ) -> None:
        """Put what `change` makes of users in their places: all of them in one commit, or none where it raises for one.
        Who is not there is passed over."""

        def put(batch: WriteBatch) -> None:
            for old in map(self.find, user_ids):
                if old is not None:
                    self._put(batch, change(old))

        self._change(put, also)

    def put(
        self,
        user_ids: Sequence[str],
        change: Callable[[Sequence[Account | None]], Sequence[Account]],
        also: Also = nothing_more,
    ) -> None:
        """Put what `change` makes of these users together, None for who is not there, in one commit; or nothing, where
        it raises."""

        def put(batch: WriteBatch) -> None:
            for account in change([self.find(user_id) for user_id in user_ids]):
                self._put(batch, account)

        self._change(put, also)

    def note_login(self, user_id: str, change: Callable[[Account], Account], *, sync: bool = True) -> None:
        """As replace, for what changes with log-ins alone: nobody's rights, so that no session has to ask anew.

        `sync`: False, not to wait for the disk.
        """

        def put(batch: WriteBatch) -> None:
            old = self.find(user_id)
            if old is not None:
                self._put(batch, change(old))

        self._commit(put, nothing_more, sync=sync)

    def remove(self, user_id: str, also: Also = nothing_more) -> None:
        """Forget a user and what was granted to it: its name can be used anew, by somebody else."""

        def put(batch: WriteBatch) -> None:
            account = self.find(user_id)
            if account is not None:
                batch.delete(USERS_ID, ONE_PARTITION, self._users.layout, _row(account))
                self._mark_deleted(batch, user_id, False)
                self._put_gone(batch, account)
            for grant in self.grants_of(user_id):
                batch.delete(GRANTS_ID, user_id.encode(), self._grants.layout, _grant_row(grant))

        self._change(put, also)

    def regrant(
        self,
        users: Sequence[str],
        table_id: int,
        change: Callable[[frozenset[Action]], frozenset[Action]],
        granted_by: str,
        now: datetime.datetime,
        also: Also = nothing_more,
    ) -> None:
        """Put what `change` makes of what is granted to these users in its place. `granted_by`: who does it."""

        def put(batch: WriteBatch) -> None:
            for user in dict.fromkeys(users):
                held = {grant.table_id: grant for grant in self.grants_of(user)}.get(table_id)
                before = frozenset() if held is None else held.actions
                after = change(before)
                if after == before:
                    continue
                partition, layout = user.encode(), self._grants.layout
                if not after:
                    assert held is not None
                    batch.delete(GRANTS_ID, partition, layout, _grant_row(held))
                    continue
                row = _grant_row(Grant(user, table_id, after, granted_by, now))
                (batch.insert if held is None else batch.replace)(GRANTS_ID, partition, layout, row)

        self._change(put, also)

    # Leaving and coming back with a backup

    def exported(self, tables: Mapping[int, tuple[str, str]]) -> dict[str, list[Any]]:
        """Users, and grants on `tables` (namespace and name by id), as plain JSON, passwords as their hashes."""
        return {
            "users": [[account.user_id, encode_account(account)] for account in self.all()],
            "grants": [
                [
                    grant.user_id,
                    *tables[grant.table_id],
                    *_grant_row(grant)[1:3],
                    grant.granted_at.isoformat(),
                ]
                for grant in self.all_grants()
                if grant.table_id in tables
            ],
        }

    def put_imported(
        self,
        batch: WriteBatch,
        found: Mapping[str, Any],
        tables: Mapping[tuple[str, str], int],
        *,
        system_users: bool,
    ) -> None:
        """Put what `exported` told into a commit: users who are not here yet, and what was granted on these tables, by
        their new ids. Who is here stays as it is; `system_users`: whether those of role system come too. Call forget()
        after the commit. Raises Corruption."""
        try:
            for user_id, definition in found.get("users", ()):
                account = decode_account(user_id, definition)
                if self.find(user_id) is None and (system_users or account.role is not Role.SYSTEM):
                    self._put(batch, account)
            for user_id, namespace, name, actions, granted_by, granted_at in found.get("grants", ()):
                table_id = tables.get((namespace, name))
                if table_id is not None:
                    at = datetime.datetime.fromisoformat(granted_at)
                    row = (table_id, actions, granted_by, at)
                    _grant(user_id, row)
                    batch.insert(GRANTS_ID, user_id.encode(), self._grants.layout, row)
        except (AttributeError, TypeError, ValueError) as error:
            raise Corruption("the users of the backup cannot be read; restore from another one") from error

    def forget(self) -> None:
        """Have everybody ask anew: something changed."""
        with self._writing:
            self._known, self._met = {}, set()
            self.version += 1
        self.on_change()

    def _put(self, batch: WriteBatch, account: Account) -> None:
        engine = self._engine()
        key = self._users.encode_key(account.user_id)
        there = engine.store.get(USERS_ID, ONE_PARTITION, key, engine.snapshot(), self._users.reader)
        if there is None and account.user_id != ROOT:
            account = self._as_somebody_new(account)
        write = batch.insert if there is None else batch.replace
        write(USERS_ID, ONE_PARTITION, self._users.layout, _row(account))
        self._mark_deleted(batch, account.user_id, account.deleted_at is not None)

    def _mark_deleted(self, batch: WriteBatch, user_id: str, deleted: bool) -> None:
        """Who was deleted is told by a partition of its own too, so that who is to go is found without the others."""
        engine = self._engine()
        key = self._users.encode_key(user_id)
        marked = engine.store.get(USERS_ID, DELETED_USERS, key, engine.snapshot(), self._users.reader)
        if deleted == (marked is not None):
            return
        write = batch.insert if deleted else batch.delete
        write(USERS_ID, DELETED_USERS, self._users.layout, (user_id, "{}"))

    def _as_somebody_new(self, account: Account) -> Account:
        """The account with credentials that nobody of its name had who is gone: tokens outlive clocks and backups."""
        gone = self._gone()
        if gone is None or account.credentials_at > gone:
            return account
        return replace(account, credentials_changed_at=next_credentials(gone, account.credentials_at))

    def _gone(self) -> datetime.datetime | None:
        """The newest credentials of those who are gone for good, whoever they were."""
        engine = self._engine()
        key = self._users.encode_key("")
        values = engine.store.get(USERS_ID, USERS_GONE, key, engine.snapshot(), self._users.reader)
        return None if values is None else decode_gone(str(values[1]))

    def _put_gone(self, batch: WriteBatch, account: Account) -> None:
        before = self._gone()
        if before is None or account.credentials_at > before:
            write = batch.insert if before is None else batch.replace
            row = ("", encode_gone(account.credentials_at))
            write(USERS_ID, USERS_GONE, self._users.layout, row)

    def _change(self, put: Also, also: Also) -> None:
        self._commit(put, also)
        self.forget()

    def _commit(self, put: Also, also: Also, *, sync: bool = True) -> None:
        """One durable commit, made anew where a log-in or another change came between."""
        for _ in range(_ATTEMPTS_MAX):
            engine = self._engine()
            batch = WriteBatch(engine.snapshot())
            put(batch)
            also(batch)
            if not len(batch):
                return
            try:
                engine.commit(batch, sync=sync)
                return
            except (core.WriteConflictError, core.DuplicateKeyError):
                continue
        raise SerializationFailure("users were changed by others all the time; run it again")


def _nobody_listens() -> None:
    """Where there are no tokens."""


def _row(account: Account) -> tuple[object, ...]:
    return account.user_id, encode_account(account)


def _grant_row(grant: Grant) -> tuple[object, ...]:
    names = ",".join(action.name for action in ROW_ACTIONS if action in grant.actions)
    return grant.table_id, names, grant.granted_by, grant.granted_at


def _grant(user_id: str, values: Sequence[Any]) -> Grant:
    table_id, names, granted_by, granted_at = values
    try:
        actions = frozenset(Action[name] for name in names.split(","))
    except KeyError as error:
        raise Corruption("the row of a grant cannot be read; restore the database from a backup") from error
    return Grant(user_id, table_id, actions, granted_by, granted_at)
