"""What statements cost lately, by their shape: who is quick may run in the event loop, all others get a thread.

A hop to a thread and back costs more than a look-up by key. What was never met is taken for slow, and goes to a thread,
where its time of the processor is measured: the clock would count what others do meanwhile.
"""

from __future__ import annotations

from kalamcore.errors import CoreError
from kalamcore.statements import scan

BUDGET_MS = 0.3
WITHIN_S = 0.001
"""What runs in the event loop is stopped about here, and runs again in a thread."""
TEXT_CHARACTERS_MAX = 2_000
SHAPES_MAX = 4_096
LATE_MAX = 3
"""So many times in a row it may take longer: a processor that others use too makes quick statements late."""
REST_MAX = 256
_NEWEST = 0.3
_QUICK_KINDS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})


class Cost:
    """What is known of one shape."""

    __slots__ = ("late", "mean_ms", "refused", "rest")

    def __init__(self, mean_ms: float) -> None:
        self.mean_ms = mean_ms
        """Of the processor, in a thread: a moving mean, in which no time counts for more than twice the budget."""
        self.late = 0
        """How many times in a row it took longer than the budget in the event loop."""
        self.refused = 0
        """How many times in a row it could not be answered there."""
        self.rest = 0
        """How many times more it is not tried there."""


class Costs:
    """The costs of one application's statements. For one event loop."""

    def __init__(self) -> None:
        self._of: dict[str, Cost] = {}

    def shape(self, sql: str, *, parameters: bool) -> str | None:
        """What tells the statement from others; None for one that is never run in the event loop.

        A text with parameters is its own shape: literals beside them are likely to be the same each time.
        """
        if len(sql) > TEXT_CHARACTERS_MAX or ";" in sql:
            return None
        if parameters:
            return sql
        try:
            found = scan(sql)
        except (CoreError, UnicodeEncodeError):
            return None  # whoever runs it says what is wrong
        # The shape of any other statement has its literals in it, passwords included, and is not kept.
        return found.shape if found.kind in _QUICK_KINDS else None

    def is_quick(self, shape: str) -> bool:
        """Whether it may be tried in the event loop."""
        cost = self._of.get(shape)
        return cost is not None and not cost.rest and cost.mean_ms <= BUDGET_MS

    def only_waits(self, shape: str) -> bool:
        """Whether it takes no more of the processor than what is tried in the event loop."""
        cost = self._of.get(shape)
        return cost is not None and cost.mean_ms <= BUDGET_MS

    def note(self, shape: str, processor_ms: float) -> None:
        """Tell what it took of the processor in a thread, where it may have waited beside that."""
        cost = self._of.pop(shape, None) or Cost(min(processor_ms, 2 * BUDGET_MS))
        cost.mean_ms += (min(processor_ms, 2 * BUDGET_MS) - cost.mean_ms) * _NEWEST
        cost.rest = max(0, cost.rest - 1)
        self._of[shape] = cost
        if len(self._of) > SHAPES_MAX:
            del self._of[next(iter(self._of))]

    def note_at_once(self, shape: str, took_ms: float) -> None:
        """Tell how long the event loop was at it. REQUIRES: is_quick."""
        cost = self._of[shape]
        cost.refused = 0
        if took_ms <= BUDGET_MS:
            cost.late = 0
            return
        cost.late += 1
        if cost.late == LATE_MAX:
            cost.late = 0
            cost.mean_ms = 2 * BUDGET_MS

    def note_refused(self, shape: str) -> None:
        """Tell that it could not be answered without waiting. REQUIRES: is_quick.

        Each time in a row it rests for twice as long: a statement that waits for the disk, or for the query engine,
        takes little of the processor here, and would be tried in vain for ever.
        """
        cost = self._of[shape]
        cost.refused += 1
        cost.rest = min(1 << cost.refused, REST_MAX)
