"""Live queries: a partition's rows, and then every change of them, filtered for each who listens."""

from kalamdb.event import Event
from kalamdb.live.live_queries import LiveQueries, checked_rows, checked_sequence
from kalamdb.live.live_query import LiveQuery, Page, lagged_behind
from kalamdb.live.parts import Part, parts_of
from kalamdb.live.plan import Plan
from kalamdb.live.subscription import Subscription
from kalamdb.live.waker_on_loop import WakerOnLoop

__all__ = [
    "Event",
    "LiveQueries",
    "LiveQuery",
    "Page",
    "Part",
    "Plan",
    "Subscription",
    "WakerOnLoop",
    "checked_rows",
    "checked_sequence",
    "lagged_behind",
    "parts_of",
]
