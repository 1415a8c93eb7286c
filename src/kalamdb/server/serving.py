"""`kalam serve`: a database behind uvicorn, from the first request to the last.

The end has an order. Told to end, the server says so to whoever asks for its health and takes no more statements, while
those that run may finish until the deadline. Then connections are closed, WebSockets with 1012, and the database last.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import uvicorn
import uvloop

from kalamdb import database as databases
from kalamdb.errors import InvalidSetting, OperationalError, StorageUnavailable
from kalamdb.server.application import Application
from kalamdb.server.interpreter import set_aside, set_for_serving
from kalamdb.server.json_log import log_request, log_to_standard_error
from kalamdb.server.nearness import is_loopback
from kalamdb.server.websocket import server_options
from kalamdb.settings import Settings

CONNECTIONS_S = 1
"""For connections to end once nothing is to be waited for any more; uvicorn takes whole seconds."""
CLOSE_S = 1.0
"""For the database to close. One that is not closed then is opened as after a crash: nothing that was told is lost."""
_LOOK_S = 0.02
_BACKLOG = 2048
_SIGNALS = (signal.SIGTERM, signal.SIGINT)

log = logging.getLogger("kalamdb.server")


@dataclass(frozen=True, slots=True)
class Started:
    """A server that takes requests. `needs_setup`: nobody can log in yet; `near`: this machine alone reaches it."""

    url: str
    needs_setup: bool
    near: bool


def serve(directory: str, settings: Settings, announce: Callable[[Started], None]) -> bool:
    """Serve the database in `directory` until SIGTERM or SIGINT. REQUIRES: the main thread.

    `announce` is called once requests are taken. False where something still runs that the end of the process has to
    stop. Raises as kalamdb.open, InvalidSetting, and StorageUnavailable where the address cannot be listened to.
    """
    log_to_standard_error(settings.log_level)
    set_for_serving()
    listener = listen(settings.server_host, settings.server_port)
    with listener:
        near = is_loopback(listener.getsockname()[0])
        database = databases.open(directory, settings=settings)
        application = Application(database, loopback=near, alone=True)
        application.observers.append(log_request)
        set_aside()
        server = _Server(configuration(application, settings))

        async def live() -> bool:
            draining = asyncio.create_task(_drain(server, application, settings.drain_timeout_s))
            announcing = asyncio.create_task(_announce(server, started, announce))
            await server.serve([listener])
            announcing.cancel()
            if not draining.done():
                # It did not come so far as to be told to end.
                draining.cancel()
                return True
            return not draining.result()

        try:
            # What cannot be built is told as it is, and not by a server that fails to start.
            started = Started(_url(listener, settings), database.front_door.needs_setup(), near)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                drained = runner.run(live())
        finally:
            for one in _SIGNALS:
                # Who is told to end a second time now is about to.
                signal.signal(one, signal.SIG_IGN)
            closed = _close(database)
    if not server.started:
        raise OperationalError("the server could not be started; its log says why")
    return closed and drained


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises StorageUnavailable."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise StorageUnavailable(
            f"{host} port {port} cannot be listened to: {error.strerror}; choose others by --host and --port"
        ) from None


def configuration(application: object, settings: Settings) -> uvicorn.Config:
    """uvicorn as measured to be quick, with nothing believed that a client says of where it is.

    Raises InvalidSetting for a certificate or key that cannot be read.
    """
    config = uvicorn.Config(
        application,  # type: ignore[arg-type]
        http="httptools",
        **server_options(settings),
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=CONNECTIONS_S,
        ssl_certfile=settings.tls_certificate_file,
        ssl_keyfile=settings.tls_key_file,
    )
    if (settings.tls_certificate_file is None) != (settings.tls_key_file is None):
        raise InvalidSetting("tls_certificate_file and tls_key_file go together; give both, or neither")
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise InvalidSetting(
            f"the files of tls_certificate_file and tls_key_file cannot be used: {error.strerror}"
        ) from None
    return config


class _Server(uvicorn.Server):
    """uvicorn, which leaves signals to us: it would end at once, and then raise the signal again."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _drain(server: uvicorn.Server, application: Application, timeout_s: float) -> int:
    """Wait for a signal, and see to the end; a second one hurries it. How many requests could not be waited for."""
    loop = asyncio.get_running_loop()
    told, hurried = asyncio.Event(), asyncio.Event()

    def tell() -> None:
        (hurried if told.is_set() else told).set()

    for one in _SIGNALS:
        loop.add_signal_handler(one, tell)
    await told.wait()
    log.info("ending: no new statements; those that run have %g s", timeout_s)
    application.closing = True
    application.closing_wait_s = 0.0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while application.requests_open and not hurried.is_set():
                await asyncio.sleep(_LOOK_S)
    left = application.abandon()
    if left:
        log.warning("%d requests took longer than drain_timeout_s", left)
    server.should_exit = True
    return left


async def _announce(server: uvicorn.Server, started: Started, announce: Callable[[Started], None]) -> None:
    while not server.started:
        await asyncio.sleep(_LOOK_S)
    announce(started)
    log.info("serving at %s", started.url)
    if started.needs_setup:
        log.warning("root has no password yet")


def _url(listener: socket.socket, settings: Settings) -> str:
    host, port = listener.getsockname()[:2]
    scheme = "http" if settings.tls_certificate_file is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _close(database: databases.Database) -> bool:
    """Whether the database could be closed in time."""
    closing = threading.Thread(target=database.close, name="kalamdb-close", daemon=True)
    closing.start()
    closing.join(CLOSE_S)
    if closing.is_alive():
        log.warning("the database does not close in time; the next opening reads its log")
    return not closing.is_alive()
