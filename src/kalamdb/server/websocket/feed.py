"""A partition that somebody listens to: one listener in the core for all subscriptions of all connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from kalamdb.live import lagged_behind

if TYPE_CHECKING:
    from kalamcore.changes import ChangeSet, Listener
    from kalamdb.live import Plan
    from kalamdb.server.websocket.subscription import Subscription
    from kalamdb.server.websocket.told import Told


class News(NamedTuple):
    """What a commit changed. `last`: its last sequence number. `state`: another object once rights or tables are
    others. `made`: what is told of it, by plan; who comes next finds it there."""

    one: ChangeSet
    last: int
    state: object
    made: dict[Plan, Told]


class Feed:
    """`number`: what the waker tells of it. For one event loop."""

    __slots__ = ("_telling", "listener", "members", "number", "partition")

    def __init__(self, partition: tuple[int, bytes], number: int, listener: Listener) -> None:
        self.partition = partition
        self.number = number
        self.listener = listener
        self.members: dict[Subscription, None] = {}
        """In the order in which they came."""
        self._telling: deque[tuple[News, Iterator[Subscription]]] = deque()
        """Who is still to hear of what, oldest first. Who comes later has it from its own listener."""

    def take(self, state_of: Callable[[], object]) -> None:
        """Take what has changed since the last time."""
        sets, lagged = self.listener.take()
        if lagged:
            self._telling.clear()
            for subscription in list(self.members):
                subscription.fail(lagged_behind())
            return
        # Looked at behind the taking: what was committed behind a change of rights is told by the new ones.
        state = state_of()
        for one in sets:
            self._telling.append((News(one, one.last, state, {}), iter(list(self.members))))

    def tell(self, most: int) -> int:
        """Tell up to `most` subscriptions of it; how many that were. Fewer: there is nothing more to tell."""
        told = 0
        while self._telling:
            news, subscriptions = self._telling[0]
            for subscription in subscriptions:
                subscription.hear(news)
                told += 1
                if told == most:
                    return told
            if self._telling:
                self._telling.popleft()
        return told
