"""The command `kalam` within this process, where nothing of the user who runs the tests is seen."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.server.processes import PASSWORD, Process

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


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """`kalam serve` of a directory, set up: dora is a dba."""
    with Process(tmp_path_factory.mktemp("served") / "data") as process:
        process.set_up()
        yield process


@pytest.fixture(params=["directory", "server"])
def place(request: pytest.FixtureRequest, data: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database in both places where one may be: for `kalam(…, db=place)`."""
    if request.param == "directory":
        return data
    monkeypatch.setenv("KALAM_USER", "dora")
    monkeypatch.setenv("KALAM_PASSWORD", PASSWORD)
    return str(request.getfixturevalue("server").url)
