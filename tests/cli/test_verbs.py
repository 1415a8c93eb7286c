"""backup, restore, check, repair, users, completions, and the help of every command."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parent.parent.parent


def test_a_backup_is_restored_to_a_new_directory(notes, tmp_path: Path) -> None:
    restored = str(tmp_path / "restored")

    assert notes("backup", str(tmp_path / "backups")).exit_code == 0
    assert notes("restore", str(tmp_path / "backups"), restored).exit_code == 0
    assert (
        notes("--format", "csv", "-c", "SELECT count(*) AS n FROM app.notes", db=restored).stdout == "n\n3\n"
    )
    assert notes("restore", str(tmp_path / "backups"), restored).exit_code == 1


def test_damage_is_found_and_mended_when_that_is_said(notes, data: str) -> None:
    notes("-c", "; ".join(f"INSERT INTO app.notes (id) VALUES ({number})" for number in range(10, 60)))
    assert notes("check").exit_code == 0
    log = max((Path(data) / "wal").iterdir(), key=lambda file: len(file.read_bytes().rstrip(b"\0")))
    found = bytearray(log.read_bytes())
    end = len(bytes(found).rstrip(b"\0"))
    found[end // 2] ^= 255
    log.write_bytes(found)

    checked = notes("check")
    assert checked.exit_code == 1
    assert "wal/" in checked.stdout
    asked = notes("repair")
    assert asked.exit_code == 1
    assert "would drop" in asked.stdout
    assert notes("check").exit_code == 1
    assert notes("repair", "--yes").exit_code == 0
    assert notes("check").exit_code == 0
    assert notes("-c", "SELECT 1").exit_code == 0


def test_users_are_made_listed_changed_and_dropped(kalam) -> None:
    assert (
        kalam("users", "create", "ann", "--role", "service", input="correct horse battery\n").exit_code == 0
    )
    assert kalam("users", "password", "ann", input="staple of all horses\n").exit_code == 0
    assert kalam("users", "role", "ann", "dba").exit_code == 0
    listed = kalam("users", "list", "--format", "csv")
    assert "ann,dba" in listed.stdout
    assert kalam("users", "drop", "ann").exit_code == 0
    assert kalam("users", "restore", "ann").exit_code == 0
    assert kalam("users", "password", "ann", input="short\n").exit_code == 1
    assert kalam("--user", "bob", "users", "list").exit_code == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_get_what_completes_words(kalam, shell: str) -> None:
    assert "_KALAM_COMPLETE" in kalam("completions", shell, db=None).stdout


@pytest.mark.parametrize(
    "words", ["kalam import t ", "kalam export t ", "kalam -f ", "kalam restore /x ", "kalam --db "]
)
def test_names_of_files_are_completed(kalam, words: str) -> None:
    """The shell of the system is told that a file, or a directory, may stand there."""
    from click.shell_completion import BashComplete

    from kalamdb.cli.kalam import kalam as command

    completing = BashComplete(command, {}, "kalam", "_KALAM_COMPLETE")
    found = completing.get_completions(words.split()[1:], "")

    assert [one.type for one in found] in (["file"], ["dir"])


def test_ctrl_c_where_something_is_asked_ends_the_command_as_ctrl_c_does(kalam, monkeypatch) -> None:
    def interrupted(user: str) -> str:
        raise click.Abort

    monkeypatch.setattr("kalamdb.cli.users._new_password", interrupted)

    assert kalam("users", "password", "root").exit_code == 130


def test_commands_ask_for_a_database(kalam) -> None:
    done = kalam("export", "t", "-", db=None)

    assert done.exit_code == 2
    assert "--db" in done.stderr


def test_every_command_option_and_preference_is_in_the_documents() -> None:
    from dataclasses import fields

    from kalamdb.cli.kalam import kalam
    from kalamdb.cli.output import FORMATS
    from kalamdb.cli.preferences import Preferences
    from kalamdb.cli.sql.meta_commands import COMMANDS

    text = (ROOT / "docs" / "shell.md").read_text(encoding="utf-8")
    everywhere = text + (ROOT / "docs" / "server.md").read_text(encoding="utf-8")
    missing = []
    context = click.Context(kalam)
    for name in kalam.list_commands(context):
        command = kalam.get_command(context, name)
        assert command is not None
        commands = command.commands.items() if isinstance(command, click.Group) else [("", command)]
        for part, one in commands:
            if f"`kalam {name}" not in everywhere or part not in text:
                missing.append(f"kalam {name} {part}")
            for option in one.params:
                if isinstance(option, click.Option) and option.opts[0] not in everywhere:
                    missing.append(f"{name} {option.opts[0]}")
    missing += [one.name for one in COMMANDS if f"`{one.name}" not in text]
    missing += [field.name for field in fields(Preferences) if f"`{field.name}`" not in text]
    missing += [name for name in FORMATS if f"`{name}`" not in text]

    assert missing == []


def test_a_short_look_at_its_speed_leaves_nothing_behind(kalam, tmp_path: Path) -> None:
    found = kalam("bench", "--rows", "1000", "--calls", "10", "--at", str(tmp_path), db=None)

    assert found.exit_code == 0
    for question in (
        "durable insert of a row",
        "look-up by key in 1,000 rows",
        "last 50 rows of one user of 100",
    ):
        assert question in found.stdout
    assert list(tmp_path.iterdir()) == []
