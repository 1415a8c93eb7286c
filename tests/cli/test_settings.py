"""`kalam settings`, and the one precedence of file, environment and flag."""

from __future__ import annotations

from pathlib import Path

from tests.server.processes import run


def test_it_says_where_each_setting_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "kalam.toml"
    file.write_text('worker_id = 1\njob_retention_d = 1\nmetrics = "open"\n')

    done = run(
        "settings",
        "--config",
        str(file),
        "--set",
        "metrics=token",
        environment={"KALAM_JOB_RETENTION_D": "2", "KALAM_METRICS": "off"},
    )

    assert done.returncode == 0
    assert [line.split(maxsplit=2) for line in done.stdout.splitlines()] == [
        ["worker_id", "1", f"file {file}"],
        ["job_retention_d", "2", "environment KALAM_JOB_RETENTION_D"],
        ["metrics", "token", "flag"],
    ]


def test_it_shows_every_setting_when_asked() -> None:
    from kalamdb.settings import NAMES

    done = run("settings", "--all")

    assert [line.split()[0] for line in done.stdout.splitlines()] == list(NAMES)


def test_a_setting_that_does_not_exist_is_a_usage_error() -> None:
    done = run("settings", "--set", "metrix=open")

    assert done.returncode == 2
    assert "did you mean metrics?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_pair_without_its_sign_is_a_usage_error() -> None:
    assert run("settings", "--set", "metrics").returncode == 2


def test_a_file_that_is_not_there_is_named() -> None:
    done = run("settings", "--config", "/nowhere/kalam.toml")

    assert done.returncode == 2
    assert "kalam.toml" in done.stderr
