"""Where kalamdb's rows lie when a question is asked of them: in memory, in hot segments, or in the cold tier.

A tier that the kalamdb under test has no way to is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import kalamdb


@dataclass(frozen=True)
class Tier:
    """`settings`: of the database; `settle`: moves what was loaded to where it belongs."""

    name: str
    settle: Callable[[kalamdb.Database], object]
    settings: dict[str, object] = field(default_factory=dict)


def _settled(method: str) -> Callable[[kalamdb.Database], object]:
    return lambda database: getattr(database, method)()


MEMORY = Tier("in memory", lambda database: None, {"memtable_bytes": 16 << 30})
TIERS = [
    MEMORY,
    *([Tier("hot segments", _settled("checkpoint"))] if hasattr(kalamdb.Database, "checkpoint") else []),
    *([Tier("cold", _settled("flush"))] if hasattr(kalamdb.Database, "flush") else []),
]
