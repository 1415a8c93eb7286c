"""A partition that somebody listens to: one listener in the core for all subscriptions of all connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalamdb.live import lagged_behind

if TYPE_CHECKING:
    from kalamcore.changes import Listener
    from kalamdb.live import Plan
    from kalamdb.server.websocket.subscription import Subscription
    from kalamdb.server.websocket.told import Told


class Feed:
    """`number`: what the waker tells of it. For one event loop."""

    __slots__ = ("listener", "members", "number", "partition")

    def __init__(self, partition: tuple[int, bytes], number: int, listener: Listener) -> None:
        self.partition = partition
        self.number = number
        self.listener = listener
        self.members: dict[Subscription, None] = {}
        """In the order in which they came."""

    def deliver(self) -> None:
        """Tell all of what has changed since the last time."""
        sets, lagged = self.listener.take()
        if lagged:
            for subscription in list(self.members):
                subscription.fail(lagged_behind())
            return
        for one in sets:
            made: dict[Plan, Told] = {}
            for subscription in list(self.members):
                subscription.hear(one, made)
