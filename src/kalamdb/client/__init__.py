"""The client of a server: SQL over HTTP, live queries over a WebSocket, with the verbs and answers of a session.

`Client` is for threads, `AsyncClient` for asyncio, which is imported with it alone. Neither needs the native core,
Arrow or a query engine.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from kalamdb.client.client import Client
from kalamdb.client.prepared import AsyncStatement, Statement
from kalamdb.client.result import Result
from kalamdb.client.subscription import Subscription
from kalamdb.event import Event

if TYPE_CHECKING:
    from kalamdb.client.async_client import AsyncClient
    from kalamdb.client.async_subscription import AsyncSubscription

__all__ = [
    "AsyncClient",
    "AsyncStatement",
    "AsyncSubscription",
    "Client",
    "Event",
    "Result",
    "Statement",
    "Subscription",
]

_HOMES = {"AsyncClient": "async_client", "AsyncSubscription": "async_subscription"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(f"kalamdb.client.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
