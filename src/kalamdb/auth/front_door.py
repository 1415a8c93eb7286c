"""The way in from outside: log-ins and tokens of one database, put together, and told in the audit log.

Built when somebody first comes that way: it needs a secret of its own, and libraries that an embedded database does
without.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from kalamdb.auth.account import ROOT, Account
from kalamdb.auth.account_login import AccountLogin, user_state
from kalamdb.auth.accounts import Accounts
from kalamdb.auth.audit import DENIED, SUCCESS, AuditEntry, AuditLog
from kalamdb.auth.hashing_slots import HashingSlots
from kalamdb.auth.identity import Identity, UserState, can_be_a_name
from kalamdb.auth.issuers import foreign_issuers, own_issuer
from kalamdb.auth.login import LoggedIn, Login
from kalamdb.auth.login_limits import LoginLimits
from kalamdb.auth.passwords import Passwords
from kalamdb.auth.permissions import Role
from kalamdb.auth.refresh import RefreshTokens
from kalamdb.auth.server_secret import ServerSecret
from kalamdb.auth.set_up import SetUp, is_needed, set_up
from kalamdb.auth.tokens import TokenIssuer, TokenVerifier
from kalamdb.engine.periodic import Periodic
from kalamdb.errors import DuplicateObject, Error, RefreshTokenReused, RemoteAccessDenied

if TYPE_CHECKING:
    from kalamcore.system import FileSystem
    from kalamdb.engine import Engine
    from kalamdb.settings import Settings

ANONYMOUS = "anonymous"
"""The actor of what nobody has proven to be."""
PRUNE_INTERVAL = datetime.timedelta(days=1)


class FrontDoor:
    """Log-ins and tokens of one database. Safe for threads; calls wait for a computation or a disk."""

    def __init__(
        self,
        engine: Engine,
        accounts: Accounts,
        audit: AuditLog,
        settings: Settings,
        *,
        files: FileSystem,
        directory: str,
        environment: Mapping[str, str],
        now: Callable[[], datetime.datetime],
        unix_s: Callable[[], float],
        passwords: Passwords,
        slots: HashingSlots,
    ) -> None:
        """`files`, `directory`: of the database, where its secret is kept. `unix_s`: the clock of `now`, in seconds.

        Raises InvalidSetting for a secret that is too short, NotSupportedError where PyJWT is missing.
        """
        self._accounts = accounts
        self._audit = audit
        self._now = now
        self._passwords = passwords
        self._slots = slots
        key = ServerSecret(files, directory, environment, key_file=settings.jwt_key_file).key()
        users = AccountLogin(accounts, now)
        self._refresh_tokens = RefreshTokens(
            engine, ttl=datetime.timedelta(days=settings.refresh_token_ttl_d), now=now, on_end=self._ended
        )
        self.when_ended: list[Callable[[str], None]] = []
        """Each is told of a family of tokens that is not good any more, by any thread, once no check takes them."""
        self.verifier = TokenVerifier(
            [own_issuer(settings.jwt_issuer, key), *foreign_issuers(settings.trusted_issuers, environment)],
            audience=settings.jwt_audience,
            user_of=users.user,
            family_is_open=self._refresh_tokens.is_open,
            create_user=self._create_user if settings.create_foreign_users else None,
            now=unix_s,
        )
        self._limits = LoginLimits()
        self.tokens = TokenIssuer(
            key,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            ttl_s=settings.access_token_ttl_s,
            now=unix_s,
        )
        self._login = Login(
            users,
            tokens=self.tokens,
            refresh_tokens=self._refresh_tokens,
            now=now,
            passwords=passwords,
            limits=self._limits,
            slots=slots,
        )
        self._pruning = Periodic(PRUNE_INTERVAL)
        # Whatever changes of a user is known to the next look at a token.
        accounts.on_change = self.verifier.bump_epoch

    def log_in(self, user: str, password: str, address: str, *, loopback: bool = False) -> LoggedIn:
        """See Login.log_in. A row of the audit log tells of it, however it ends. Raises RemoteAccessDenied, too."""
        try:
            if user == ROOT and password == "" and not loopback:
                # Whether root has a password or not: who asks from elsewhere does not learn it here.
                raise RemoteAccessDenied(
                    "root logs in without a password from the server's own machine alone"
                )
            made = self._login.log_in(user, password, address, loopback=loopback)
        except Error:
            # Nobody has proven to be anybody: the name is what was tried. As quick for one that is nobody's.
            target = user if can_be_a_name(user) else None
            self._audit.write(
                AuditEntry(ANONYMOUS, "LOG IN", DENIED, target=target, address=address), sync=False
            )
            raise
        self._audit.write(AuditEntry(made.user.name, "LOG IN", SUCCESS, address=address))
        self._prune()
        return made

    def refresh(self, refresh_token: str, address: str) -> LoggedIn:
        """See Login.refresh. The use of a token that was used before has a row of the audit log."""
        try:
            return self._login.refresh(refresh_token)
        except RefreshTokenReused as reused:
            self._audit.write(
                AuditEntry(ANONYMOUS, "REFRESH", DENIED, target=reused.user, address=address), sync=False
            )
            raise

    def log_out(self, refresh_token: str, address: str) -> None:
        """See Login.log_out."""
        user = self._login.log_out(refresh_token)
        if user is not None:
            self._audit.write(AuditEntry(user, "LOG OUT", SUCCESS, address=address))

    def needs_setup(self) -> bool:
        """Whether `root` has no password yet."""
        return is_needed(self._accounts)

    def set_up(self, wanted: SetUp, address: str) -> Account:
        """Give `root` its first password and make the first user beside it, of role dba, in one commit; the user.

        Whoever calls it has seen to it that the request comes from this machine. Raises AlreadySetUp, DuplicateObject,
        InvalidName, InvalidValue, ResourcesExceeded.
        """
        entry = AuditEntry(ANONYMOUS, "SET UP", SUCCESS, target=wanted.user, address=address)
        made = set_up(
            wanted,
            self._accounts,
            self._passwords,
            self._slots,
            self._now(),
            lambda batch: self._audit.put(batch, entry),
        )
        self._limits.forgive(ROOT)
        return made

    def identity_of(self, access_token: str) -> Identity:
        """See TokenVerifier.verify."""
        return self.verifier.verify(access_token)

    def forgive(self, user: str) -> None:
        """Forget failed log-ins of a user: there is a new password."""
        self._limits.forgive(user)

    def _ended(self, family: str) -> None:
        self.verifier.end_family(family)
        for tell in list(self.when_ended):
            tell(family)

    def _create_user(self, name: str) -> UserState:
        """Make a user whom a trusted issuer knows and nobody else yet."""
        at = self._now()
        account = Account(name, Role.USER, at, at)
        entry = AuditEntry(ANONYMOUS, "CREATE USER", SUCCESS, target=name)
        try:
            self._accounts.create(account, lambda batch: self._audit.put(batch, entry))
        except DuplicateObject:
            found = self._accounts.find(name)
            return user_state(account if found is None else found)
        return user_state(account)

    def _prune(self) -> None:
        """Forget refresh tokens that are past their time, once a day."""
        if self._pruning.is_due(self._now()):
            self._refresh_tokens.prune()
