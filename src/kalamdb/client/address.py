"""Where a server is: its URL, split into what HTTP and WebSocket need of it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from kalamdb.errors import InterfaceError

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """`prefix`: the path at which the application is mounted, "" at the root."""

    scheme: str
    host: str
    port: int
    prefix: str

    @property
    def secure(self) -> bool:
        """Whether it is reached by TLS."""
        return self.scheme == "https"

    @property
    def netloc(self) -> str:
        """Host and port as a URL has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if _PORTS[self.scheme] == self.port else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole of it."""
        return f"{self.scheme}://{self.netloc}{self.prefix}"

    @property
    def socket_url(self) -> str:
        """Of its live queries."""
        return f"{'wss' if self.secure else 'ws'}://{self.netloc}{self.prefix}/v1/ws"


def read_address(url: str) -> Address:
    """The server that a URL means: `http://host:port`, `https://host/path`. Raises InterfaceError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except (ValueError, AttributeError) as error:
        raise _no_address(url) from error
    if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment:
        raise _no_address(url)
    if parts.username is not None or parts.password is not None:
        raise InterfaceError("a URL with a password ends up in logs; give user= and password= instead")
    return Address(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], parts.path.rstrip("/"))


def _no_address(url: object) -> InterfaceError:
    return InterfaceError(
        f"{url!r} is no address of a server; give one such as http://127.0.0.1:8080 or https://db.example"
    )
