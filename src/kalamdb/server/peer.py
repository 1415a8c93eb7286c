"""Where a request comes from: the peer of its connection.

`X-Forwarded-For` counts only where the peer is one of `trusted_proxies`: then the last address in it that is none of
them is the client's. `X-Real-IP`, `Forwarded` and whatever else a client may write count nowhere.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kalamdb.server.call import Scope

LOCAL = "local"
"""The address of who comes by a socket that has none."""

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Peers:
    """Says where requests come from."""

    def __init__(self, trusted_proxies: str | None) -> None:
        """`trusted_proxies`: the setting, addresses and networks joined by commas."""
        entries = (trusted_proxies or "").replace(",", " ").split()
        self._trusted: list[_Network] = [ipaddress.ip_network(entry) for entry in entries]

    def address_of(self, scope: Scope) -> str:
        """The client's address as text."""
        client = scope.get("client")
        peer: str = LOCAL if client is None else client[0]
        return self._forwarded(scope, peer) if self._trusted else peer

    def _forwarded(self, scope: Scope, peer: str) -> str:
        if not self._is_trusted(peer):
            return peer
        told = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        found = peer
        for entry in reversed(told.decode("latin-1").split(",")):
            try:
                found = str(ipaddress.ip_address(entry.strip()))
            except ValueError:
                # What a proxy of ours did not write is not believed, nor what stands before it.
                break
            if not self._is_trusted(found):
                break
        return found

    def _is_trusted(self, address: str) -> bool:
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self._trusted)
