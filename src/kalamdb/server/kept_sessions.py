"""Sessions of those who came lately, for statements that are answered at once.

Such a statement is one SELECT or write by itself, which leaves nothing in its session, and the session asks for its
user's rights before each: so the next request of the same sender may have it, and saves making one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kalamdb.auth.identity import Identity
    from kalamdb.database import Database
    from kalamdb.session import Session

SESSIONS_MAX = 4_096
_NAMESPACE = "default"


class KeptSessions:
    """Of one database. For one event loop, and for nothing that is waited for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Whom it keeps alive, so that the number is nobody else's.
        self._kept: dict[int, tuple[Identity, str, Session]] = {}

    def of(self, identity: Identity, address: str, namespace: str | None) -> Session:
        """A session as a new one would be, until the next call. `namespace`: that it uses; None: the first one's.

        Raises AccessDenied for a user who was deleted meanwhile, UndefinedNamespace.
        """
        kept = self._kept.get(id(identity))
        if kept is not None and kept[1] == address:
            session = kept[2]
            session.namespace = _NAMESPACE
        else:
            session = self._database.session_of(identity, address)
            if len(self._kept) >= SESSIONS_MAX:
                del self._kept[next(iter(self._kept))]
            self._kept[id(identity)] = identity, address, session
        if namespace is not None:
            session.use(namespace)
        return session
