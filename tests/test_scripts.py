"""Every script of tests/scripts, run in the process on a directory of its own.

Where rows lie must not matter, nor when the database was opened: each script also runs with a memtable so small that
rows go to segments all the time, with a checkpoint after every statement, and opened anew after every statement.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.script_runner import (
    CheckpointingAdapter,
    EmbeddedAdapter,
    ReopeningAdapter,
    read_script,
    run_script,
)

SCRIPTS = Path(__file__).parent / "scripts"
PATHS = sorted(SCRIPTS.rglob("*.slt"))


WAYS: dict[str, tuple[type[EmbeddedAdapter], dict[str, Any]]] = {
    "as it is": (EmbeddedAdapter, {}),
    "small memtable": (EmbeddedAdapter, {"memtable_bytes": 512, "hot_cache_bytes": 0}),
    "checkpoint after each": (CheckpointingAdapter, {}),
    "reopened after each": (ReopeningAdapter, {}),
}
Opened = Callable[[str], EmbeddedAdapter]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    adapters = []

    def open_database(way: str) -> EmbeddedAdapter:
        adapter, settings = WAYS[way]
        adapters.append(adapter(tmp_path / "data", **settings))
        return adapters[-1]

    yield open_database
    for adapter in adapters:
        adapter.close()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.relative_to(SCRIPTS).with_suffix("").as_posix())
def test_script(path: Path, way: str, opened: Opened) -> None:
    run_script(path, opened(way))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.relative_to(SCRIPTS).with_suffix("").as_posix())
def test_script_opens_with_a_sentence_and_checks_something(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text.startswith("# ")
    assert any(record.command == "query" or record.arguments != "ok" for record in read_script(text))
