"""The command `kalam` within this process, where nothing of the user who runs the tests is seen."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def nobodys_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without preferences, tokens or histories; its folder of configuration."""
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith(("KALAM_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    return home / "config" / "kalamdb"


@pytest.fixture
def data(tmp_path: Path) -> str:
    """The directory of a database that is not there yet."""
    return str(tmp_path / "data")


@pytest.fixture
def kalam(data: str) -> Run:
    """Run `kalam --db DATA …`: `.stdout`, `.stderr` and `.exit_code`."""
    from kalamdb.cli.kalam import kalam

    def run(*arguments: str, input: str | bytes | None = None, db: str | None = data) -> Result:
        chosen = [] if db is None else ["--db", db]
        result = CliRunner().invoke(kalam, [*chosen, *arguments], input=input, prog_name="kalam")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


TABLE = """
CREATE NAMESPACE app;
CREATE TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT, score DOUBLE, at TIMESTAMP);
INSERT INTO app.notes VALUES (1, 'hello', 1.5, '2026-01-02 03:04:05'), (2, NULL, NULL, NULL), (3, '', -2, NULL);
"""


@pytest.fixture
def notes(kalam: Run) -> Run:
    """The same, with a table app.notes of three rows."""
    assert kalam("-c", TABLE).exit_code == 0
    return kalam
