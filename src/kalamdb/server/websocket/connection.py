"""One client's connection: what it sends, its subscriptions, and when it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from kalamdb.errors import Error, RateLimitExceeded, SubscriptionLimitExceeded, TokenExpired
from kalamdb.server.call import Receive, Send
from kalamdb.server.websocket import close_codes, server_frames
from kalamdb.server.websocket.client_frames import (
    ID_CHARACTERS_MAX,
    Authenticate,
    ClientFrame,
    NextBatch,
    Ping,
    Subscribe,
    Unsubscribe,
    Wanted,
)
from kalamdb.server.websocket.error_codes import INTERNAL_ERROR, code_and_message
from kalamdb.server.websocket.message_rate import REFUSALS_MAX, MessageRate
from kalamdb.server.websocket.outgoing import Outgoing
from kalamdb.server.websocket.refusals import (
    DuplicateSubscription,
    InvalidMessage,
    MessageTooLarge,
    UnknownSubscription,
)
from kalamdb.server.websocket.subscription import Subscription

if TYPE_CHECKING:
    from kalamcore.changes import ChangeSet
    from kalamdb.auth.identity import Identity
    from kalamdb.server.call import Message
    from kalamdb.server.websocket.encoding import Encoding
    from kalamdb.server.websocket.hub import Hub
    from kalamdb.session import Session

Answer = TypeVar("Answer")

CLOSE_WAIT_S = 2.0
"""How long a client has to take what it was sent before the connection is closed."""
SET_BYTES = 256
"""What a set that waits takes beside its rows."""

log = logging.getLogger("kalamdb.server")


class Connection:
    """For one event loop."""

    __slots__ = (
        "__weakref__",
        "_behind",
        "_behind_bytes",
        "_closing",
        "_expiry",
        "_rate",
        "_subscriptions",
        "_task",
        "_tasks",
        "encoding",
        "hub",
        "identity",
        "making",
        "outgoing",
        "session",
    )

    def __init__(
        self, hub: Hub, session: Session, identity: Identity, encoding: Encoding, send: Send
    ) -> None:
        self.hub = hub
        self.session = session
        self.identity = identity
        self.encoding = encoding
        self.outgoing = Outgoing(send, hub.settings.websocket_queue_bytes, self._is_slow, self._is_gone)
        self.making = asyncio.Lock()
        """Held by who makes messages in a thread."""
        self._subscriptions: dict[str, Subscription] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._rate = MessageRate(hub.settings.websocket_messages_per_s_max)
        self._behind: dict[int, list[int]] = {}
        """Sets that wait for subscriptions of this connection, by their last sequence number: for how many, their
        bytes."""
        self._behind_bytes = 0
        self._task: asyncio.Task[Any] | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._closing: tuple[int, str] | None = None

    # Its life

    async def serve(self, receive: Receive) -> None:
        """Take messages until the client goes, or is to go."""
        self._task = asyncio.current_task()
        self.hub.add(self)
        self._watch_token()
        # What ended between the check of the token and now has been told to nobody.
        self.spawn(self.hub.look_at([self]))
        try:
            while self._closing is None:
                message = await receive()
                if message["type"] != "websocket.receive":
                    break
                await self._take(message)
        except asyncio.CancelledError:
            # Either end() did it, and there is something to be told, or the server does, which has no time.
            if self._closing is None or self._task is None or self._task.uncancel() > 0:
                raise
        except Exception as error:
            log.error("a connection of %s failed", self.session.user, exc_info=error)
            self._closing = self._closing or (close_codes.INTERNAL_ERROR, "internal error")
        finally:
            self._task = None
            self._forget()
        if self._closing is not None:
            await self.outgoing.close(*self._closing, CLOSE_WAIT_S)

    def end(self, code: int, reason: str) -> None:
        """Close it. Nothing more is told but what is queued; closing again does nothing."""
        if self._closing is not None:
            return
        self._closing = code, reason
        self._close_subscriptions()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    def _is_slow(self) -> None:
        self.hub.counts.slow += 1
        self.outgoing.drop()
        self.end(close_codes.TRY_AGAIN_LATER, "messages are not taken; connect again, and resume")

    def _is_gone(self) -> None:
        self.end(close_codes.NORMAL, "")

    def _forget(self) -> None:
        self._close_subscriptions()
        for task in self._tasks:
            task.cancel()
        if self._expiry is not None:
            self._expiry.cancel()
        if self._closing is None:
            self.outgoing.drop()
        self.hub.remove(self)

    def _close_subscriptions(self) -> None:
        for subscription in list(self._subscriptions.values()):
            subscription.close()
        self._subscriptions.clear()

    # Who it is

    def _watch_token(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = self.hub.loop.call_later(
            max(0.0, self.identity.expires_at - time.time()), self.is_nobody, None
        )

    def is_nobody(self, error: Error | None) -> None:
        """The client may not be here any more: its token has ended, or its user."""
        shown = error or TokenExpired("the token is not good any more; refresh it, and connect again")
        if self._closing is None:
            self._close_subscriptions()
            self._send(server_frames.auth_error(shown.message))
            self.end(close_codes.POLICY_VIOLATION, "not authenticated any more")

    async def _authenticate(self, frame: Authenticate) -> None:
        """A new token of the same user, so that the connection may stay. Raises InvalidToken, TokenExpired."""
        identity = await self.hub.application.identity_of(frame.token)
        if identity.user != self.identity.user:
            raise InvalidMessage("the connection is another user's; open one for each")
        self.identity = identity
        self._watch_token()
        self.spawn(self.hub.look_at([self]))
        self._send(
            server_frames.auth_success(
                self.session.user, self.session.rights.role.value, self.encoding.protocol
            )
        )

    # What it sends

    async def _take(self, message: Message) -> None:
        self.hub.counts.received += 1
        about: str | None = None
        try:
            self._rate.take()
            frame = self.encoding.read(message, self.hub.settings.websocket_message_bytes_max)
            about = _about(frame)
            await self._do(frame)
        except MessageTooLarge as error:
            self._refuse(about, error)
            self.end(close_codes.MESSAGE_TOO_BIG, "the message is too large")
        except RateLimitExceeded as error:
            if self._rate.refused > REFUSALS_MAX:
                self.end(close_codes.POLICY_VIOLATION, "too many messages")
            else:
                self._refuse(about, error)
        except Error as error:
            self._refuse(about, error)

    async def _do(self, frame: ClientFrame) -> None:
        match frame:
            case Subscribe():
                self._subscribe(frame.subscription)
            case NextBatch():
                self._subscription(frame.subscription_id).next_batch()
            case Unsubscribe():
                self._subscription(frame.subscription_id).close()
                del self._subscriptions[frame.subscription_id]
            case Ping():
                self._send(server_frames.pong())
            case Authenticate():
                await self._authenticate(frame)

    def _subscribe(self, wanted: Wanted) -> None:
        if not 1 <= len(wanted.id) <= ID_CHARACTERS_MAX:
            raise InvalidMessage(f"a subscription's id has 1 to {ID_CHARACTERS_MAX} characters")
        if wanted.id in self._subscriptions:
            raise DuplicateSubscription(
                f'subscription "{wanted.id}" is open, and goes on; unsubscribe it first, or take another id'
            )
        most = self.hub.settings.websocket_subscriptions_max
        if len(self._subscriptions) >= most:
            raise SubscriptionLimitExceeded(
                f"{most} subscriptions are open on this connection, which is the most that "
                "websocket_subscriptions_max allows; unsubscribe some, or open another connection"
            )
        subscription = self._subscriptions[wanted.id] = Subscription(self, wanted)
        self.spawn(subscription.open())

    def _subscription(self, subscription_id: str) -> Subscription:
        found = self._subscriptions.get(subscription_id)
        if found is None:
            raise UnknownSubscription(f'there is no subscription "{subscription_id}" on this connection')
        return found

    # What it is sent

    def failed(self, subscription_id: str, error: BaseException) -> None:
        """A subscription has ended by an error."""
        self._subscriptions.pop(subscription_id, None)
        self._refuse(subscription_id, error)

    def _refuse(self, about: str | None, error: BaseException) -> None:
        code, message, details = code_and_message(error, self.session.user)
        if code == INTERNAL_ERROR:
            self.hub.counts.failed += 1
        self._send(server_frames.error(about, code, message, details))

    def _send(self, text: str) -> None:
        self.outgoing.put(self.encoding.frame(text))

    @property
    def loading(self) -> int:
        """How many subscriptions have rows that the client has not asked for, and the one that begins now."""
        return 1 + sum(subscription.is_loading for subscription in list(self._subscriptions.values()))

    @property
    def waiting_bytes(self) -> int:
        """What waits for the client: messages that are made, and sets of changes that are still to be told."""
        return self._behind_bytes + self.outgoing.bytes

    def is_too_far_behind(self, one: ChangeSet) -> bool:
        """A set waits for one more subscription. True where too much waits: then the connection ends."""
        waiting = self._behind.get(one.last)
        if waiting is not None:
            waiting[0] += 1
            return False
        size = one.nbytes + SET_BYTES
        self._behind[one.last] = [1, size]
        self._behind_bytes += size
        # The oldest may be larger: it is told in pieces. What counts is what waits behind it.
        oldest = next(iter(self._behind.values()))[1]
        if self.waiting_bytes - oldest <= self.outgoing.bytes_max:
            return False
        self._is_slow()
        return True

    def caught_up(self, one: ChangeSet) -> None:
        """A set waits for one subscription less."""
        waiting = self._behind.get(one.last)
        if waiting is None:
            return
        waiting[0] -= 1
        if not waiting[0]:
            del self._behind[one.last]
            self._behind_bytes -= waiting[1]

    # Who works for it

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done beside the messages, for as long as the connection is open."""
        task = self.hub.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def in_thread(self, work: Callable[[], Answer]) -> Answer:
        """Do what may wait in one of the server's threads, when it is the user's turn. Raises RateLimitExceeded, and
        what `work` raises."""
        return await self.hub.application.threads.run(self.session.user, work)


def _about(frame: ClientFrame) -> str | None:
    match frame:
        case Subscribe():
            return frame.subscription.id
        case NextBatch() | Unsubscribe():
            return frame.subscription_id
    return None
