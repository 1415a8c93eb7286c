"""How often somebody may try to log in: per account and per address, of users that exist and of names that do not.

A try counts as failed from the moment it begins, and is taken back if it turns out right: so tries beside each other
are no way around the limits. The state is bounded. What counts is never pushed out by newer names or addresses: when
the tables are full, those that are not in them wait until something in them has expired.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from kalamdb.errors import AccountLocked, RateLimitExceeded

WINDOW_S = 60.0
LOCK_S = 15 * 60.0
"""Also how long a failed try is remembered."""
BACK_OFF_MAX_S = 60.0
ENTRIES_MAX = 50_000
"""Of accounts, and of addresses. A try costs a computation of argon2id, so that filling them takes long."""
_NAME_CHARACTERS_MAX = 128
_NETWORK_BITS = 64


@dataclass(frozen=True, slots=True)
class TryLimits:
    """`per_minute`: failed tries in 60 seconds. `free`: failed tries in a row that cost no waiting; each further one
    doubles it, from 1 second to 60. `in_a_row`: failed tries that lock for 15 minutes."""

    per_minute: int
    free: int
    in_a_row: int


ACCOUNT = TryLimits(per_minute=10, free=3, in_a_row=10)
ADDRESS = TryLimits(per_minute=10, free=5, in_a_row=100)
"""Behind one address there may be an office, and a log-in that is right ends what came in a row."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try that was let through. `failed`: how many of the account are counted, this one among them.
    `locks_for_s`: seconds for which the account is locked unless this try is right; 0: it is not."""

    account: str
    address: str
    at: float
    failed: int
    locks_for_s: float


class _Tries:
    """Of one account or address."""

    __slots__ = ("failed", "locked_until", "next_at", "recent", "touched_at")

    def __init__(self) -> None:
        self.failed = 0
        self.recent: list[float] = []
        self.next_at = 0.0
        self.locked_until = 0.0
        self.touched_at = 0.0


class _Table:
    """Tries by key. Every entry expires LOCK_S after its last try, so the oldest entries are the first to."""

    def __init__(self, limits: TryLimits, entries_max: int) -> None:
        self._limits = limits
        self._entries_max = entries_max
        self.entries: OrderedDict[str, _Tries] = OrderedDict()

    def locked_for_s(self, key: str, now: float) -> float:
        tries = self.entries.get(key)
        return 0.0 if tries is None else max(0.0, tries.locked_until - now)

    def wait_s(self, key: str, now: float) -> float:
        """Seconds until the next try of this key is let through; 0: now."""
        self._expire(now)
        tries = self.entries.get(key)
        if tries is None:
            if len(self.entries) < self._entries_max:
                return 0.0
            oldest = next(iter(self.entries.values()))
            return max(1.0, oldest.touched_at + LOCK_S - now)
        recent = [at for at in tries.recent if at > now - WINDOW_S]
        wait_s = max(tries.next_at, tries.locked_until) - now
        if len(recent) >= self._limits.per_minute:
            wait_s = max(wait_s, recent[0] + WINDOW_S - now)
        return max(0.0, wait_s)

    def count(self, key: str, now: float) -> _Tries:
        """One more failed try. REQUIRES: wait_s was 0."""
        tries = self.entries.setdefault(key, _Tries())
        self.entries.move_to_end(key)
        if tries.locked_until:
            # A lock that is over: from the beginning.
            tries.failed, tries.locked_until = 0, 0.0
        tries.failed += 1
        tries.recent = [at for at in tries.recent if at > now - WINDOW_S] + [now]
        tries.touched_at = now
        beyond = tries.failed - self._limits.free
        tries.next_at = now + min(2.0 ** min(beyond - 1, 10), BACK_OFF_MAX_S) if beyond > 0 else now
        if tries.failed >= self._limits.in_a_row:
            tries.locked_until = now + LOCK_S
        return tries

    def was_right(self, key: str, at: float) -> None:
        """Take a try back. What the last minute had of wrong ones stays, or a user of one's own would hide others."""
        tries = self.entries.get(key)
        if tries is None:
            return
        tries.failed, tries.next_at, tries.locked_until = 0, 0.0, 0.0
        if at in tries.recent:
            tries.recent.remove(at)
        if not tries.recent:
            del self.entries[key]

    def _expire(self, now: float) -> None:
        while self.entries:
            key, tries = next(iter(self.entries.items()))
            if tries.touched_at + LOCK_S > now:
                return
            del self.entries[key]


class LoginLimits:
    """Lets tries through, or says how long to wait. Safe for threads."""

    def __init__(
        self,
        *,
        account: TryLimits = ACCOUNT,
        address: TryLimits = ADDRESS,
        entries_max: int = ENTRIES_MAX,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`now`: seconds of a clock that never steps."""
        self._now = now
        self._lock = threading.Lock()
        self._accounts = _Table(account, entries_max)
        self._addresses = _Table(address, entries_max)

    def check(self, user: str, address: str) -> None:
        """Raises AccountLocked, RateLimitExceeded where a try would not be let through. It counts nothing."""
        with self._lock:
            self._check(_account(user), network(address), self._now())

    def begin(self, user: str, address: str) -> Attempt:
        """Let a try through, and count it as failed until `was_right`. Raises AccountLocked, RateLimitExceeded."""
        account, place = _account(user), network(address)
        with self._lock:
            now = self._now()
            self._check(account, place, now)
            self._addresses.count(place, now)
            tries = self._accounts.count(account, now)
            return Attempt(account, place, now, tries.failed, max(0.0, tries.locked_until - now))

    def was_right(self, attempt: Attempt) -> None:
        """The password was right: what failed before is forgotten."""
        with self._lock:
            self._accounts.was_right(attempt.account, attempt.at)
            self._addresses.was_right(attempt.address, attempt.at)

    def forgive(self, user: str) -> None:
        """Forget the tries of an account: an administrator gave it another password, or unlocked it."""
        with self._lock:
            self._accounts.entries.pop(_account(user), None)

    def sizes(self) -> tuple[int, int]:
        """Accounts and addresses that are remembered."""
        return len(self._accounts.entries), len(self._addresses.entries)

    def _check(self, account: str, address: str, now: float) -> None:
        locked_for_s = self._accounts.locked_for_s(account, now)
        if locked_for_s > 0:
            raise AccountLocked(
                "too many log-ins of this account failed, and it is locked for 15 minutes; try again then",
                retry_after_s=locked_for_s,
            )
        wait_s = max(self._accounts.wait_s(account, now), self._addresses.wait_s(address, now))
        if wait_s > 0:
            raise RateLimitExceeded("too many log-ins failed; wait before the next one", retry_after_s=wait_s)


def _account(user: str) -> str:
    """A name as a key. Longer ones are nobody's, and are counted as one."""
    return user[: _NAME_CHARACTERS_MAX + 1]


def network(address: str) -> str:
    """What one machine can have addresses of: an IPv4 address, the /64 of an IPv6 one, else the text as it is."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:_NAME_CHARACTERS_MAX]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.IPv6Network((parsed, _NETWORK_BITS), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)
