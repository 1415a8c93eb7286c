"""Whether a request comes from this machine, of what no client of a test's own server can be: elsewhere, or without a
Host."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kalamdb.server.cors import Origins
from kalamdb.server.nearness import is_near
from kalamdb.server.websocket.handshake import comes_from_allowed_page


def request(
    client: str | None = "127.0.0.1",
    *,
    loopback: bool = True,
    host: str | None = "localhost:8080",
    **more: str,
) -> Any:
    """As far as it is looked at."""
    headers = {name.replace("_", "-").encode(): value.encode() for name, value in more.items()}
    if host is not None:
        headers[b"host"] = host.encode()
    scope = {"client": None if client is None else (client, 1), "headers": list(headers.items())}
    return SimpleNamespace(application=SimpleNamespace(loopback=loopback), scope=scope, headers=headers)


@pytest.mark.parametrize(
    "near",
    [
        request(),
        request("::1", host="[::1]:8080"),
        request("127.0.0.2", host="127.0.0.1"),
        request(host="LOCALHOST"),
        request(origin="http://localhost:3000"),
        request(origin="http://127.0.0.1"),
    ],
)
def test_this_machine(near: Any) -> None:
    assert is_near(near)


@pytest.mark.parametrize(
    "far",
    [
        request(loopback=False),
        request("192.0.2.1"),
        request("::ffff:192.0.2.1"),
        request(None),
        request("testclient"),
        request(host=None),
        request(host=""),
        request(host="localhost.evil.example"),
        request(host="127.0.0.1.evil.example:8080"),
        request(host="localhost@evil.example"),
        request(host="0.0.0.0"),
        request(host="2130706433"),
        request(host="["),
        request(origin="http://localhost.evil.example"),
        request(origin="https://evil.example/localhost"),
        request(origin="null"),
        request(origin=""),
        request(x_forwarded_for=""),
        request(x_forwarded_anything="x"),
        request(forwarded="for=127.0.0.1"),
        request(via="1.1 localhost"),
        request(x_real_ip="127.0.0.1"),
    ],
)
def test_elsewhere_or_in_doubt(far: Any) -> None:
    assert not is_near(far)


def test_a_page_without_an_origin_is_not_that_of_a_server_without_a_name() -> None:
    for origin in (b"null", b"", b"https://"):
        for host in ([], [(b"host", b"")]):
            scope = {"headers": [(b"origin", origin), *host]}

            assert not comes_from_allowed_page(scope, Origins(None))
