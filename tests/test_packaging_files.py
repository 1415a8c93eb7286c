"""The files of packaging/: what they start is there, and means what they say."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from kalamdb.settings import NAMES, load_settings
from tests.server.processes import Process, run

ROOT = Path(__file__).parent.parent
PACKAGING = ROOT / "packaging"


@pytest.fixture
def unit() -> configparser.ConfigParser:
    """The systemd unit; of a key that is there several times the last."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(PACKAGING / "kalamdb.service")
    return parser


def container() -> list[tuple[str, str]]:
    """Instruction and rest of each line of the container file."""
    text = re.sub(r"\\\n", " ", (PACKAGING / "Containerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    text = (PACKAGING / "kalamdb.service").read_text()
    # It looks whether the program is there, and that is elsewhere in a checkout.
    copy = tmp_path / "kalamdb.service"
    copy.write_text(text.replace("/opt/kalamdb/bin/kalam", sys.executable))

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert [line for line in done.stderr.splitlines() if "kalamdb.service" in line] == []


def test_the_unit_starts_the_command_and_leaves_it_time_to_end(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]
    program, command, directory = shlex.split(service["ExecStart"])

    assert Path(program).name == "kalam"
    assert command == "serve"
    assert Path(directory).is_relative_to(Path("/var/lib") / service["StateDirectory"])
    assert service["KillSignal"] == signal.SIGTERM.name
    assert float(service["TimeoutStopSec"]) > load_settings(environment={}).drain_timeout_s + 2


def test_its_settings_are_settings_and_a_server_starts_with_them(directory: Path) -> None:
    file = PACKAGING / "kalam.toml"
    given = tomllib.loads(file.read_text())
    commented = re.findall(r"^# (\w+) = ", file.read_text(), re.MULTILINE)

    assert set(given) | set(commented) <= set(NAMES)
    assert commented
    with Process(directory, "--config", str(file)) as server:
        assert server.url.startswith("http://127.0.0.1:")


def test_the_container_copies_what_is_there_and_starts_the_command() -> None:
    lines = container()
    copied = [
        name for kind, rest in lines if kind == "COPY" and "--from" not in rest for name in rest.split()[:-1]
    ]
    last = dict(lines)

    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert last["ENTRYPOINT"] == '["kalam"]'
    assert last["CMD"].startswith('["serve", "/data')
    assert last["USER"] == "kalamdb"
    assert last["STOPSIGNAL"] == "SIGTERM"
    assert run("serve", "--help").returncode == 0


def test_the_health_check_of_the_container_tells_a_server_that_is_there_from_none(directory: Path) -> None:
    import json

    check = json.loads(dict(container())["HEALTHCHECK"].removeprefix("CMD "))
    with Process(directory) as server:
        port = server.url.rpartition(":")[2]

        def status() -> int:
            return subprocess.run(
                [sys.executable, *check[1:]],
                env={"KALAM_SERVER_PORT": port},
                capture_output=True,
                timeout=60,
                check=False,
            ).returncode

        assert status() == 0
        server.tell()
        server.wait()
        assert status() != 0
