"""Every script of tests/scripts, run in the process on a directory of its own.

Where rows lie must not matter, nor when the database was opened: each script also runs with a memtable so small that
rows go to segments all the time, with a checkpoint after every statement, opened anew after every statement, and with
a flush, or a flush and a compaction, after every statement that may change rows.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.script_runner import (
    CheckpointingAdapter,
    CompactingAdapter,
    EmbeddedAdapter,
    FlushingAdapter,
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
    "flushed after each": (FlushingAdapter, {}),
    "compacted after each": (CompactingAdapter, {}),
}
FLUSHED = ("flushed after each", "compacted after each")
OF_WHAT_A_FLUSH_LEAVES = ("show/show_stats", "show/system_tables", "tiers/show_stats")
"""Scripts that tell how many jobs there were and how many segments there are."""
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


def name_of(path: Path) -> str:
    return path.relative_to(SCRIPTS).with_suffix("").as_posix()


@pytest.mark.parametrize(
    ("path", "way"),
    [
        pytest.param(path, way, id=f"{name_of(path)}-{way}")
        for path in PATHS
        for way in WAYS
        if not (way in FLUSHED and name_of(path) in OF_WHAT_A_FLUSH_LEAVES)
    ],
)
def test_script(path: Path, way: str, opened: Opened) -> None:
    run_script(path, opened(way))


@pytest.mark.parametrize("path", PATHS, ids=name_of)
def test_script_opens_with_a_sentence_and_checks_something(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text.startswith("# ")
    assert any(record.command == "query" or record.arguments != "ok" for record in read_script(text))
