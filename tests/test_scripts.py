"""Every script of tests/scripts, run in the process on a directory of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.script_runner import EmbeddedAdapter, read_script, run_script

SCRIPTS = Path(__file__).parent / "scripts"
PATHS = sorted(SCRIPTS.rglob("*.slt"))


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedAdapter]:
    adapter = EmbeddedAdapter(tmp_path / "data")
    yield adapter
    adapter.close()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.relative_to(SCRIPTS).with_suffix("").as_posix())
def test_script(path: Path, embedded: EmbeddedAdapter) -> None:
    run_script(path, embedded)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.relative_to(SCRIPTS).with_suffix("").as_posix())
def test_script_opens_with_a_sentence_and_checks_something(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text.startswith("# ")
    assert any(record.command == "query" or record.arguments != "ok" for record in read_script(text))
