"""Lists of queries that a person can read: sections with a reason, and the queries of each by file and name.

## null-order

Why.

- select1: select1-4.1 select1-4.2
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

HERE = Path(__file__).parent
DIFFERENCES = HERE / "differences.md"
"""What is answered otherwise, each with the reason."""
REFUSED = HERE / "refused.md"
"""What is refused; a section's title begins with the code of the error."""

Query = tuple[str, str]
"""File, and name in it."""


def read(path: Path) -> dict[Query, str]:
    """The section's title of every query that is listed."""
    found: dict[Query, str] = {}
    title = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            title = line.removeprefix("## ")
        elif line.startswith("- ") and title:
            file, _, names = line.removeprefix("- ").partition(": ")
            found |= {(file, name): title for name in names.split()}
    return found


def sections(queries: Mapping[Query, str], order: Iterable[str]) -> Iterable[str]:
    """Lines of the sections `order`, each with its queries."""
    for title in order:
        yield from (f"## {title}", "")
        files: dict[str, list[str]] = {}
        for (file, name), of in queries.items():
            if of == title:
                files.setdefault(file, []).append(name)
        yield from (f"- {file}: {' '.join(names)}" for file, names in sorted(files.items()))
        yield ""
