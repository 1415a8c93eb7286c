"""Tokens that were verified, so that each request of a client does not verify its token anew.

Kept by the sha256 of their text, never the text. `bump_epoch` forgets all at once; it is called when a user changes.
`forget_family` forgets what came from one log-in; it is called when that has ended.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from kalamdb.auth.identity import Identity

ENTRIES_MAX = 16_384


class TokenCache:
    """Safe for threads. Bounded: the entries that were not used for longest go first."""

    def __init__(self, entries_max: int = ENTRIES_MAX) -> None:
        self._entries_max = entries_max
        self._lock = threading.Lock()
        self._entries: OrderedDict[bytes, Identity] = OrderedDict()
        self._epoch = 0

    @property
    def epoch(self) -> int:
        """What to give to `keep`; asked for before the first check of a token."""
        return self._epoch

    def bump_epoch(self) -> None:
        """Forget every token, and those too that are being verified just now."""
        with self._lock:
            self._epoch += 1
            self._entries.clear()

    def forget_family(self, family: str) -> None:
        """Forget the tokens of one family; nothing that is being verified just now is kept, of any."""
        with self._lock:
            # Who is being verified may have been found open a moment ago. They are few, and asked for once more.
            self._epoch += 1
            ended = [digest for digest, identity in self._entries.items() if identity.family == family]
            for digest in ended:
                del self._entries[digest]

    def find(self, digest: bytes, now: float) -> Identity | None:
        """Whom the token speaks for, or None where that is not known or not true any more. `now`: unix seconds."""
        with self._lock:
            identity = self._entries.get(digest)
            if identity is None:
                return None
            if now >= identity.expires_at:
                del self._entries[digest]
                return None
            self._entries.move_to_end(digest)
            return identity

    def keep(self, digest: bytes, identity: Identity, epoch: int) -> None:
        """Remember what was verified, unless something changed since `epoch`: it may have been asked before that."""
        with self._lock:
            if epoch != self._epoch:
                return
            self._entries[digest] = identity
            self._entries.move_to_end(digest)
            while len(self._entries) > self._entries_max:
                self._entries.popitem(last=False)

    def __len__(self) -> int:
        return len(self._entries)
