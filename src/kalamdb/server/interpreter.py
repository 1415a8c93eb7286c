"""How Python is set where the process is the server's alone. Within an application of one's own that is its to say."""

from __future__ import annotations

import gc
import importlib
import sys

SWITCH_INTERVAL_S = 0.0005
"""How long a thread that computes in Python may keep the event loop waiting. By Python's own 5 ms one user's statements
would be felt in every answer to another."""
YOUNG_OBJECTS = 10_000
"""So many more of them than before are looked through for cycles. By Python's own 700 several times in the course of
one burst of requests, whose objects are all still in use."""


def set_for_serving() -> None:
    """Set what threads and memory do, for the rest of the process's life."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])


def set_aside() -> None:
    """Load what the first statements would wait for, the query engine's modules, and have the collector pass over all
    that is there by now, which stays until the end: modules, settings, catalog."""
    importlib.import_module("kalamdb.execution.query.engine")
    gc.collect()
    gc.freeze()
