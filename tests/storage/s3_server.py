"""A real S3 over HTTP on this machine, and a proxy before it that breaks requests on purpose.

    with moto_server() as server, FaultProxy(server) as proxy:
        bucket = new_bucket(server)
        proxy.fail("503", at=3)     # the third request from now is answered 503 and never reaches the server
        ...                         # a storage whose credentials have endpoint = proxy.url
        proxy.requests              # what was asked: (method, path with query)

Any test of what a database does with its storage may use it: a flush counts its requests once without a fault, and is
run anew with each fault at each of them.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import re
import socket
import struct
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ACCESS_KEY = "AKIACANARY0000000001"
SECRET_KEY = "canary/secret/key/0123456789abcdefghijkl"
REGION = "us-east-1"
FAULTS = ("500", "503", "429", "timeout", "reset", "stored_not_acknowledged", "stored_then_503", "truncated")
"""What the proxy can do to a request.

500, 503, 429              answers with it; the server never sees the request
timeout                    says nothing until the client gives up; the server never sees the request
reset                      resets the connection; the server never sees the request
stored_not_acknowledged    lets the server do it, and resets the connection instead of answering
stored_then_503            lets the server do it, and answers 503
truncated                  passes the answer on, but for the second half of its body
"""


class MotoServer:
    """moto's S3, in a thread of this process, on a port of its own."""

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer

        # It would tell of every request.
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.host, self.port = str(host), int(port)
        self.url = f"http://{self.host}:{self.port}"

    def stop(self) -> None:
        """Ends it; its objects are gone."""
        self._server.stop()

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """One request past every storage: for looking at what is really there."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@contextlib.contextmanager
def moto_server() -> Iterator[MotoServer]:
    """The server, for a block."""
    server = MotoServer()
    try:
        yield server
    finally:
        server.stop()


def new_bucket(server: MotoServer) -> str:
    """Makes an empty bucket; its name."""
    name = f"kalam-{uuid.uuid4().hex}"
    status, body = server.request("PUT", f"/{name}")
    assert status == 200, body
    return name


def object_names(server: MotoServer, bucket: str) -> list[str]:
    """What is in a bucket."""
    _, body = server.request("GET", f"/{bucket}?list-type=2&max-keys=1000")
    return sorted(re.findall(r"<Key>([^<]*)</Key>", body.decode()))


def unfinished_uploads(server: MotoServer, bucket: str) -> int:
    """How many uploads in parts were begun and neither completed nor given up."""
    _, body = server.request("GET", f"/{bucket}?uploads")
    return body.count(b"<UploadId>")


def credentials(endpoint: str, **changed: Any) -> str:
    """CREDENTIALS for a storage behind this endpoint."""
    given = {
        "access_key_id": ACCESS_KEY,
        "secret_access_key": SECRET_KEY,
        "region": REGION,
        "endpoint": endpoint,
        "allow_http": True,
    }
    return json.dumps({**given, **changed})


@dataclass
class _Fault:
    kind: str
    at: int
    times: int
    matches: Callable[[str, str], bool]
    met: int = 0

    def takes(self, method: str, path: str) -> bool:
        if not self.matches(method, path):
            return False
        self.met += 1
        return self.at <= self.met < self.at + self.times


class FaultProxy:
    """An HTTP proxy on loopback that passes every request on, but for those that it was told to break."""

    def __init__(self, server: MotoServer) -> None:
        self._target = (server.host, server.port)
        self._lock = threading.Lock()
        self._faults: list[_Fault] = []
        self.requests: list[tuple[str, str]] = []
        """Method and path of every request so far, broken ones too."""
        self.broken = 0
        """How many of them were broken."""
        self._closing = threading.Event()
        self._http = _Server(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def fail(
        self,
        kind: str,
        at: int = 1,
        times: int = 1,
        matches: Callable[[str, str], bool] = lambda method, path: True,
    ) -> None:
        """Break the `at`-th request from now (1 is the next) among those that match, and `times - 1` after it."""
        if kind not in FAULTS:
            raise ValueError(f"no fault is called {kind!r}; there are {', '.join(FAULTS)}")
        with self._lock:
            self._faults.append(_Fault(kind, at, times, matches))

    def forgive(self) -> None:
        """Forget every fault, and the requests so far."""
        with self._lock:
            self._faults.clear()
            self.requests.clear()
            self.broken = 0

    def close(self) -> None:
        """Ends it; requests that hang are let go."""
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def fault_for(self, method: str, path: str) -> str | None:
        """Counts the request; what to do to it."""
        with self._lock:
            self.requests.append((method, path))
            # Each fault counts every request, whichever breaks it.
            taken = [fault.kind for fault in self._faults if fault.takes(method, path)]
            self.broken += bool(taken)
            return taken[0] if taken else None

    def wait_for_the_client_to_leave(self, connection: socket.socket) -> None:
        """Says nothing for as long as the client listens."""
        connection.settimeout(0.05)
        until = time.monotonic() + 120
        while not self._closing.is_set() and time.monotonic() < until:
            try:
                if connection.recv(1) == b"":
                    return
            except TimeoutError:
                continue
            except OSError:
                return

    def forward(
        self, method: str, path: str, headers: Any, body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """The server's answer."""
        connection = http.client.HTTPConnection(*self._target, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                if name.lower() not in ("connection", "transfer-encoding", "content-length", "expect"):
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.putheader("Connection", "close")
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that left is what the faults are about, and worth no traceback."""


def _handler_of(proxy: FaultProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: tests read what they ask for."""

        def handle_any(self) -> None:
            body = self._body()
            fault = proxy.fault_for(self.command, self.path)
            if fault == "timeout":
                proxy.wait_for_the_client_to_leave(self.connection)
                self.close_connection = True
            elif fault == "reset":
                self._reset()
            elif fault in ("500", "503", "429"):
                self._answer_error(int(fault))
            else:
                status, headers, content = proxy.forward(self.command, self.path, self.headers, body)
                if fault == "stored_not_acknowledged":
                    self._reset()
                elif fault == "stored_then_503":
                    self._answer_error(503)
                else:
                    self._answer(status, headers, content, cut=fault == "truncated")

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 - the names http.server asks for

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                pieces = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    pieces.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(pieces)
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, *, cut: bool) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in (
                    "connection",
                    "transfer-encoding",
                    "content-length",
                    "server",
                    "date",
                ):
                    self.send_header(name, value)
            length = len(content)
            if self.command == "HEAD":
                length = int(
                    next((value for name, value in headers if name.lower() == "content-length"), "0")
                )
            if status != 204:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command == "HEAD":
                return
            self.wfile.write(content[: length // 2] if cut else content)
            self.wfile.flush()
            if cut:
                self.close_connection = True

        def _answer_error(self, status: int) -> None:
            content = b"<Error><Code>Injected</Code><Message>a fault on purpose</Message></Error>"
            self._answer(status, [("Content-Type", "application/xml")], content, cut=False)

        def _reset(self) -> None:
            # With nothing to linger for, closing sends a reset instead of an end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

    return Handler
