"""pandas is not imported by the command, which has no use for it.

pyarrow imports it with the first Python value that it is given, wherever it is installed, to be able to tell its
frames: half of what `kalam -c "SELECT 1"` takes. This is for the process of the command alone; in a program's own
process kalamdb leaves imports as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


class _NoPandas:
    """A finder of modules, without importlib.abc, which would take as long to be imported as all else here."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Nothing is found, and nobody else asked, for pandas."""
        if name == "pandas":
            raise ModuleNotFoundError("pandas is not for the command kalam", name=name)
        return None


def do_without_pandas() -> None:
    """From here on it cannot be imported by this process."""
    sys.meta_path.insert(0, _NoPandas())
