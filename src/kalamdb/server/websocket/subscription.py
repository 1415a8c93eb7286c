"""One subscription of a connection: its rows in batches, and then every change, in order, none left out and none twice.

It begins with a listener of its own, which keeps what changes while batches are sent. Behind the last of them it joins
the partition's feed, and from then on what changed is made once for all. A set of changes that is large, or comes
while the connection takes nothing, waits here as it is and is told by a task, so that nobody else waits for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from kalamdb.errors import SubscriptionLagged
from kalamdb.live import LiveQuery
from kalamdb.server.websocket import server_frames
from kalamdb.server.websocket.batches import BATCH_BYTES, PAGE_BYTES, Batch, Batches
from kalamdb.server.websocket.beginning import Beginning
from kalamdb.server.websocket.feed import News
from kalamdb.server.websocket.refusals import InvalidMessage
from kalamdb.server.websocket.told import Tails

if TYPE_CHECKING:
    from kalamcore.changes import ChangeSet
    from kalamdb.server.websocket.client_frames import Wanted
    from kalamdb.server.websocket.connection import Connection
    from kalamdb.server.websocket.told import Told


class Subscription:
    """For one event loop; what waits or takes long is done by threads."""

    __slots__ = (
        "__weakref__",
        "_batch_timer",
        "_batches",
        "_batches_sent",
        "_beginning",
        "_behind",
        "_catching_up",
        "_checked",
        "_connection",
        "_head",
        "_heard",
        "_is_sending",
        "_namespace",
        "_parameters",
        "_sql",
        "closed",
        "id",
        "live",
    )

    def __init__(self, connection: Connection, wanted: Wanted) -> None:
        """Opens nothing yet. Raises as Beginning."""
        self.id = wanted.id
        self.live: LiveQuery | None = None
        self.closed = False
        self._connection = connection
        self._sql = wanted.sql
        self._parameters = wanted.params
        self._namespace = wanted.namespace_id
        self._beginning = Beginning(wanted.options)
        self._head = server_frames.change_head(self.id)
        self._batches: Batches | None = None
        self._batches_sent = 0
        self._batch_timer: asyncio.TimerHandle | None = None
        self._is_sending = False
        self._behind: deque[ChangeSet] = deque()
        self._catching_up = False
        self._checked: object = None
        """By which state of rights and tables it was asked last whether the user may hear it."""
        self._heard = 0

    # How it begins

    async def open(self) -> None:
        """Open it, send the first rows, and go on from there."""
        connection = self._connection
        try:
            # One at a time, and each once there is room: whoever takes nothing has nothing made for it.
            async with connection.making:
                await connection.outgoing.room()
                if self.closed:
                    return
                if await connection.in_thread(self._open):
                    self._acknowledge()
                if self._batches is not None:
                    self._send_rows(await connection.in_thread(self._batches.next))
            if self._beginning.rows:
                return
            if self._beginning.from_seq is not None:
                await self._resume(self._beginning.from_seq)
            self._go_live()
        except Exception as error:
            self.fail(error)

    def _acknowledge(self) -> None:
        live, batches, from_seq = self.live, self._batches, self._beginning.from_seq
        assert live is not None
        total = 0 if batches is None else batches.total
        rows_follow = batches is not None or from_seq is not None
        self._send(server_frames.subscription_ack(self.id, live.plan, total, rows_follow=rows_follow))
        if from_seq is not None:
            self._send_rows(Batch("[]", has_more=False, seq=from_seq))

    def _open(self) -> bool:
        """In a thread: it waits for commits on their way, and may read disks. False where it was closed meanwhile."""
        connection, beginning = self._connection, self._beginning
        hub = connection.hub
        queries = hub.database.live
        session = connection.session
        if self._namespace is not None:
            # One of its own: what a name means is this subscription's matter alone.
            session = session.in_namespace(self._namespace)
        parameters = hub.application.parameters.read(session, self._sql, self._parameters)
        live = session.listen(self._sql, hub.waker, beginning.shown(), parameters)
        self.live = live
        live.on_end = lambda: hub.call(self._ended)
        try:
            if beginning.rows:
                last_rows = beginning.last_rows
                if last_rows is None:
                    last_rows = live.text.last_rows
                page_bytes = max(BATCH_BYTES, PAGE_BYTES // connection.loading)
                self._batches = Batches(live, last_rows, beginning.batch_rows, page_bytes)
            elif beginning.from_seq is None:
                live.from_now()
        except BaseException:
            queries.close(live)
            raise
        # Looked at last: whoever closed it meanwhile has not seen the live query, or has ended it too.
        if self.closed:
            queries.close(live)
            self._batches = None
        return not self.closed

    @property
    def is_loading(self) -> bool:
        """Whether there are rows that it has not sent yet."""
        return self._batches is not None

    def next_batch(self) -> None:
        """The client has room for more rows. Raises InvalidMessage where there are none."""
        if self._batches is None or self._is_sending or not self._batches_sent or self.closed:
            raise InvalidMessage(f'subscription "{self.id}" has no batch that waits to be asked for')
        self._is_sending = True
        self._stop_timer()
        self._connection.spawn(self._send_next())

    async def _send_next(self) -> None:
        connection, batches = self._connection, self._batches
        try:
            async with connection.making:
                await connection.outgoing.room()
                if self.closed or batches is None:
                    return
                self._send_rows(await connection.in_thread(batches.next))
        except Exception as error:
            self.fail(error)

    def _send_rows(self, batch: Batch) -> None:
        if self.closed:
            return
        self._send(
            server_frames.initial_data_batch(
                self.id, self._batches_sent, batch.rows, has_more=batch.has_more, last_seq=batch.seq
            )
        )
        self._batches_sent += 1
        self._is_sending = False
        if self._batches is None:
            return
        if batch.has_more:
            timeout_s = self._connection.hub.settings.websocket_batch_timeout_s
            self._batch_timer = self._connection.hub.loop.call_later(timeout_s, self._not_asked)
        else:
            self._batches = None
            self._go_live()

    def _not_asked(self) -> None:
        self.fail(
            SubscriptionLagged(
                "the next batch was not asked for within websocket_batch_timeout_s "
                f"({self._connection.hub.settings.websocket_batch_timeout_s:g} s); begin anew"
            )
        )

    async def _resume(self, from_seq: int) -> None:
        live, connection = self.live, self._connection
        assert live is not None
        parts = await connection.in_thread(lambda: live.resume(from_seq))
        resumed = Tails(live.plan, parts)
        at = 0
        while not self.closed:
            async with connection.making:
                await connection.outgoing.room()
                tail = await connection.in_thread(lambda: resumed.tail(at))  # noqa: B023 - it is awaited here
                if tail is None or self.closed:
                    return
                self._send(self._head + tail)
            at += 1

    # What changed

    def _go_live(self) -> None:
        if self.closed:
            return
        live = self.live
        assert live is not None
        self._heard = live.position
        self._connection.hub.join(self)

    def hear(self, news: News) -> None:
        """A commit has changed the partition."""
        if news.last <= self._heard or self.closed:
            return
        self._heard = news.last
        connection = self._connection
        told = None
        if not self._behind and not connection.outgoing.is_waiting:
            try:
                told = self._made(news)
            except Exception as error:
                self.fail(error)
                return
        if told is None or told.large:
            self._behind.append(news.one)
            if connection.is_too_far_behind(news.one):
                return
            if not self._catching_up:
                self._catching_up = True
                connection.spawn(self._catch_up())
            return
        try:
            self._tell(told)
        except Exception as error:
            self.fail(error)

    def _made(self, news: News) -> Told:
        """What is told of a commit, by the rights and the table as they are now. Raises as LiveQuery.check."""
        live = self.live
        assert live is not None
        if news.state is not self._checked:
            live.check()
            self._checked = news.state
        told = news.made.get(live.plan)
        if told is None:
            told = news.made[live.plan] = self._connection.hub.told(live.plan, news.one)
        return told

    def _tell(self, told: Told) -> None:
        connection, live = self._connection, self.live
        assert live is not None
        put = connection.outgoing.put
        for frame in told.frames(self._head, connection.encoding):
            put(frame)
        live.told(told.last, told.rows, told.at)

    async def _catch_up(self) -> None:
        """Tell what waits here, as fast as the connection takes it."""
        try:
            while self._behind:
                await self._connection.outgoing.room()
                if not self._behind:
                    return  # it was closed meanwhile
                one = self._behind[0]
                told = self._made(News(one, one.last, self._connection.hub.state(), {}))
                if told.large:
                    await self._tell_large(told)
                else:
                    self._tell(told)
                if self._behind:
                    self._behind.popleft()
                    self._connection.caught_up(one)
        except Exception as error:
            self.fail(error)
        finally:
            self._catching_up = False

    async def _tell_large(self, told: Told) -> None:
        connection, live = self._connection, self.live
        assert live is not None
        at = 0
        while not self.closed:
            async with connection.making:
                await connection.outgoing.room()
                tail = await connection.hub.in_thread(lambda: told.tail(at))  # noqa: B023 - it is awaited here
                if tail is None:
                    live.told(told.last, told.rows, told.at)
                    return
                self._send(self._head + tail)
            at += 1

    def wait_for(self, sets: list[ChangeSet], state: object) -> None:
        """What its own listener had when it joined the feed."""
        for one in sets:
            self.hear(News(one, one.last, state, {}))

    # Its end

    def _ended(self) -> None:
        """Somebody has ended the live query: KILL, or the end of the database."""
        if not self.closed and self.live is not None and self.live.ended is not None:
            self.fail(self.live.ended)

    def fail(self, error: BaseException) -> None:
        """End it, and tell the client why."""
        if self.closed:
            return
        self.close()
        self._connection.failed(self.id, error)

    def close(self) -> None:
        """End it. Ending it again does nothing."""
        if self.closed:
            return
        self.closed = True
        self._stop_timer()
        hub = self._connection.hub
        hub.leave(self)
        for one in self._behind:
            self._connection.caught_up(one)
        self._behind.clear()
        self._batches = None
        if self.live is not None:
            hub.database.live.close(self.live)

    def _stop_timer(self) -> None:
        if self._batch_timer is not None:
            self._batch_timer.cancel()
            self._batch_timer = None

    def _send(self, text: str) -> None:
        if self.closed:
            return
        self._connection.outgoing.put(self._connection.encoding.frame(text), paced=True)
