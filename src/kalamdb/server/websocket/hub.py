"""All WebSockets of one server: what wakes them when something has changed, and who ends them."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from kalamcore.changes import ChangeSet, Waker
from kalamdb.errors import Error
from kalamdb.live import WakerOnLoop
from kalamdb.server.websocket import close_codes
from kalamdb.server.websocket.feed import Feed
from kalamdb.server.websocket.told import Told

if TYPE_CHECKING:
    from kalamdb.auth.front_door import FrontDoor
    from kalamdb.live import Plan
    from kalamdb.server.application import Application
    from kalamdb.server.websocket.connection import Connection
    from kalamdb.server.websocket.subscription import Subscription

Answer = TypeVar("Answer")

LOOK_S = 0.25
"""So often it is looked whether users have changed: a deleted one's connections end within it."""
STOP_WAIT_S = 5.0
DELIVERY_THREADS = 2
TOLD_AT_ONCE = 32
"""Subscriptions that are told something before the loop turns to others."""


@dataclass(slots=True)
class Counts:
    """Since the server began. `received`: messages of clients. `slow`: connections that were closed because nobody took
    what they were sent. `failed`: errors that were the server's fault."""

    received: int = 0
    slow: int = 0
    failed: int = 0


class Hub:
    """For one event loop, that in which the first connection comes."""

    def __init__(self, application: Application) -> None:
        """Nothing is started before the first connection."""
        self.application = application
        self.database = application.database
        self.settings = application.settings
        self.counts = Counts()
        self.stopping = False
        self.connections: dict[Connection, None] = {}
        self.open = 0
        """Connections, those too that have not said yet who they are."""
        self._feeds: dict[tuple[int, bytes], Feed] = {}
        self._by_number: dict[int, Feed] = {}
        self._told: weakref.WeakValueDictionary[tuple[Plan, int], Told] = weakref.WeakValueDictionary()
        self._busy: dict[Feed, None] = {}
        """Feeds that have something to tell."""
        self._telling = False
        self._state: tuple[int, object] = -1, None
        self._looking: asyncio.TimerHandle | None = None
        self._users_version = -1
        self._door: FrontDoor | None = None
        self._checking = False
        self._empty = asyncio.Event()
        self._empty.set()

    @cached_property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Where all of it runs."""
        return asyncio.get_running_loop()

    @cached_property
    def _on_loop(self) -> WakerOnLoop:
        return WakerOnLoop(self.loop, self._ready)

    @property
    def waker(self) -> Waker:
        """What tells that something has changed."""
        return self._on_loop.waker

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(DELIVERY_THREADS, "kalamdb-live")

    # Connections

    @property
    def has_room(self) -> bool:
        """Whether one more connection may be open."""
        return self.open < self.settings.websocket_connections_max

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Count a connection, for as long as the block runs."""
        _ = self.waker
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1

    @property
    def subscriptions(self) -> int:
        """How many are told of changes now."""
        return sum(len(feed.members) for feed in self._feeds.values())

    def add(self, connection: Connection) -> None:
        """Somebody is there. REQUIRES: a token was verified, so that the front door is there."""
        self.connections[connection] = None
        self._empty.clear()
        if self._door is None and not self.stopping:
            self._door = self.database.front_door
            self._door.when_ended.append(self._family_ended)
        if self._looking is None:
            self._users_version = self.database.accounts.version
            self._looking = self.loop.call_later(LOOK_S, self._look)
        if self.stopping:
            connection.end(close_codes.SERVICE_RESTART, "the server goes down")

    def remove(self, connection: Connection) -> None:
        """And is not any more."""
        self.connections.pop(connection, None)
        if not self.connections:
            self._empty.set()

    async def stop(self) -> None:
        """Close all connections, and take no others."""
        self.stopping = True
        for connection in list(self.connections):
            connection.end(close_codes.SERVICE_RESTART, "the server goes down")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_WAIT_S):
                await self._empty.wait()
        if self._looking is not None:
            self._looking.cancel()
        if self._door is not None:
            self._door.when_ended.remove(self._family_ended)
            self._door = None
        if "_on_loop" in self.__dict__:
            self._on_loop.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    # Users

    def _look(self) -> None:
        self._looking = None
        if not self.connections:
            return
        version = self.database.accounts.version
        if version != self._users_version and not self._checking:
            self._users_version = version
            self._checking = True
            # Held, for a loop holds its tasks weakly.
            self._check_task = self.loop.create_task(self._check_users())
        self._looking = self.loop.call_later(LOOK_S, self._look)

    async def _check_users(self) -> None:
        try:
            await self.look_at(list(self.connections))
        finally:
            self._checking = False

    async def look_at(self, connections: Collection[Connection]) -> None:
        """End those of who is not there any more, or has logged out."""
        if self.stopping:
            return
        verifier = self.database.front_door.verifier

        def ended() -> list[tuple[Connection, Error]]:
            found: list[tuple[Connection, Error]] = []
            for connection in connections:
                try:
                    verifier.check_again(connection.identity)
                except Error as error:
                    found.append((connection, error))
            return found

        for connection, error in await self.in_thread(ended):
            connection.is_nobody(error)

    def _family_ended(self, family: str) -> None:
        """Told by any thread."""

        def end() -> None:
            for connection in list(self.connections):
                if connection.identity.family == family:
                    connection.is_nobody(None)

        self.call(end)

    # Changes

    def join(self, subscription: Subscription) -> None:
        """Have a subscription told of what changes from here on, and first of what its own listener has. Raises what
        has ended its live query."""
        live = subscription.live
        assert live is not None
        partition = live.table_id, live.plan.partition
        feed = self._feeds.get(partition)
        if feed is not None:
            # What the feed has taken from the core, the listener has had too: so nothing falls between them.
            self._take(feed)
        sets = live.take_sets()
        listener = live.hand_over()
        feed = self._feeds.get(partition)
        if feed is None:
            feed = self._feeds[partition] = Feed(partition, live.number, listener)
            self._by_number[feed.number] = feed
        else:
            listener.close()
        feed.members[subscription] = None
        subscription.wait_for(sets, self.state())

    def leave(self, subscription: Subscription) -> None:
        """It is told nothing more."""
        live = subscription.live
        if live is None:
            return
        feed = self._feeds.get((live.table_id, live.plan.partition))
        if feed is None or subscription not in feed.members:
            return
        del feed.members[subscription]
        if not feed.members:
            feed.listener.close()
            del self._feeds[feed.partition]
            del self._by_number[feed.number]

    def state(self) -> object:
        """One object for as long as neither a user, nor a grant, nor what exists has changed."""
        version, catalog = self.database.accounts.version, self.database.catalog
        if version != self._state[0] or catalog is not self._state[1]:
            self._state = version, catalog
        return self._state

    def told(self, plan: Plan, one: ChangeSet) -> Told:
        """What a set tells by a plan; one object for all who ask while somebody has it."""
        key = plan, one.last
        found = self._told.get(key)
        if found is None:
            found = self._told[key] = Told(plan, one, self.database.now())
        return found

    def _ready(self, told: list[int]) -> None:
        for number in told:
            feed = self._by_number.get(number)
            if feed is not None:
                self._take(feed)

    def _take(self, feed: Feed) -> None:
        feed.take(self.state)
        self._busy[feed] = None
        if not self._telling:
            # Soon, not now: whoever committed is answered first.
            self._telling = True
            self.loop.call_soon(self._tell)

    def _tell(self) -> None:
        """Tell some, and the others when the loop has looked after everything else: many who listen hold up nobody."""
        self._telling = False
        left = TOLD_AT_ONCE
        while self._busy and left:
            feed = next(iter(self._busy))
            left -= feed.tell(left)
            del self._busy[feed]
            if not left:
                # Behind the others, for it may have more.
                self._busy[feed] = None
        if self._busy:
            self._telling = True
            self.loop.call_soon(self._tell)

    def call(self, work: Callable[[], None]) -> None:
        """Have the loop do something soon; from any thread. Nothing happens once the loop is closed."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(work)

    async def in_thread(self, work: Callable[[], Answer]) -> Answer:
        """Do what takes long for the sake of several in a thread of the hub's own."""
        return await self.loop.run_in_executor(self._pool, work)
