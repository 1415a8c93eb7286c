"""What statements cost lately, by their shape: who is quick may run in the event loop, all others get a thread.

A hop to a thread and back costs more than a look-up by key. What was never met is taken for slow; what was slow has to
be quick several times before it counts as quick again.
"""

from __future__ import annotations

from kalamcore.errors import CoreError
from kalamcore.statements import scan

BUDGET_MS = 0.3
WITHIN_S = 0.001
"""What runs in the event loop is stopped about here, and runs again in a thread."""
TEXT_CHARACTERS_MAX = 2_000
SHAPES_MAX = 4_096
_SLOW_MS = 1_000.0
_NEWEST = 0.3
_OUTLIER = 3.0
_QUICK_KINDS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})


class Costs:
    """Milliseconds by shape, a moving mean. For one event loop."""

    def __init__(self) -> None:
        self._of: dict[str, float] = {}

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
        return self._of.get(shape, _SLOW_MS) <= BUDGET_MS

    def note(self, shape: str, took_ms: float) -> None:
        """Tell what it took this time."""
        before = self._of.pop(shape, took_ms)
        # One slow time alone may be the machine's: two in a row are not.
        newest = min(took_ms, BUDGET_MS * _OUTLIER)
        self._of[shape] = before + (newest - before) * _NEWEST
        if len(self._of) > SHAPES_MAX:
            del self._of[next(iter(self._of))]

    def note_slow(self, shape: str) -> None:
        """Tell that it could not be answered without waiting."""
        self._of[shape] = BUDGET_MS * _OUTLIER
