"""Whether a request comes from the server's own machine: what works without a password is for nobody else.

The server says by its address that only this machine reaches it. That nobody passed the request on is taken from what
it lacks; where in doubt, it comes from elsewhere.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from kalamdb.server.call import Call

_FORWARDED = frozenset({b"forwarded", b"via", b"x-real-ip"})


def is_near(call: Call) -> bool:
    """Whether the request was made on this machine, to a server bound to this machine, and was not passed on."""
    client = call.scope.get("client")
    return (
        call.application.loopback
        and client is not None
        and is_loopback(client[0])
        and not any(name in _FORWARDED or name.startswith(b"x-forwarded") for name in call.headers)
        # A page whose name was made to lead here says so by the name that it asked for, or by its own.
        and _is_loopback_host(b"//" + call.headers.get(b"host", b""))
        and _is_loopback_host(call.headers.get(b"origin", b"http://localhost"))
    )


def is_loopback(address: str) -> bool:
    """Whether an address, or `localhost`, is this machine's alone."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _is_loopback_host(url: bytes) -> bool:
    try:
        host = urlsplit(url.decode("latin-1")).hostname
    except ValueError:
        return False
    return host is not None and is_loopback(host)
