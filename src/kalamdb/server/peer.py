"""Where a request comes from: the peer of its connection, whatever its headers say."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kalamdb.server.call import Scope

LOCAL = "local"
"""The address of who comes by a socket that has none."""


def address_of(scope: Scope) -> str:
    """The peer's address as text."""
    client = scope.get("client")
    return LOCAL if client is None else client[0]
