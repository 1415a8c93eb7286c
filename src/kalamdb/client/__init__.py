"""The client of a server: SQL over HTTP, live queries over a WebSocket, with the verbs and answers of a session.

`Client` is for threads, `AsyncClient` for asyncio. Neither needs the native core, Arrow or a query engine.
"""

from kalamdb.client.client import Client
from kalamdb.client.result import Result
from kalamdb.client.subscription import Subscription
from kalamdb.event import Event

__all__ = ["Client", "Event", "Result", "Subscription"]
