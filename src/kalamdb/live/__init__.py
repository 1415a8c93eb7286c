"""Live queries: a partition's rows, and then every change of them, filtered for each who listens."""

from kalamdb.live.event import Event
from kalamdb.live.live_queries import LiveQueries
from kalamdb.live.live_query import LiveQuery
from kalamdb.live.subscription import Subscription

__all__ = ["Event", "LiveQueries", "LiveQuery", "Subscription"]
