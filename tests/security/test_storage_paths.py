"""Whatever a user or a table is called, its files stay within their storage and apart from all others."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

import kalamdb
from kalamcore.system import FileSystem
from kalamdb.errors import InvalidDefinition, InvalidName, InvalidSyntax
from kalamdb.storage.filesystem import FilesystemBackend
from kalamdb.storage.templates import parse_template

HOSTILE = [
    "..",
    ".",
    "...",
    "../..",
    "/",
    "//",
    "/etc/passwd",
    "\\",
    "..\\..",
    "a/b",
    "a\\b",
    "a/../b",
    "./a",
    "a/.",
    "~",
    "~root",
    "%",
    "%2e",
    "%2e%2e",
    "%2E%2E%2F",
    "%00",
    "%c0%ae",
    "%252e",
    "a%2fb",
    "\u2024\u2024",
    "\u2025",
    "\uff0e\uff0e",
    "\uff0f",
    "\u2215",
    "\u2044",
    "a\u2044b",
    "User",
    "user",
    "USER",
    "uSER",
    "straße",
    "STRASSE",
    "strasse",
    "K",
    "k",
    "\u212a",
    "ı",
    "i",
    "İ",
    "I",
    "ﬁ",
    "fi",
    "é",
    "e\u0301",
    "É",
    "Å",
    "\u212b",
    "ß",
    "ẞ",
    "ss",
    "con",
    "CON",
    "con.txt",
    "nul",
    "aux.",
    "com1",
    "lpt9",
    "prn",
    "a.",
    "a..",
    ".a",
    "a ",
    " a",
    " ",
    "a\u00a0",
    "manifest.json",
    "manifest.json.tmp",
    "segment-1.parquet",
    "x.tmp",
    "LOCK",
    "wal",
    "$HOME",
    "${HOME}",
    "{userId}",
    "{namespace}",
    "*",
    "?",
    "[a]",
    "a:b",
    "a|b",
    "<a>",
    '"',
    "'",
    "`",
    ";",
    "-",
    "--",
    "-rf",
    "=",
    "a=b",
    "user=1",
    "\u200b",
    "a\u200bb",
    "\u202e",
    "\ufeff",
    "\U0001f600",
    "\U0010ffff",
    "\ufffd",
    "x" * 128,
    "X" * 128,
    "é" * 128,
    "\U0001f600" * 128,
    "x" * 127 + "X",
    "." * 128,
    "%" * 128,
    "/" * 128,
]
MADE = [
    "".join(parts)
    for parts in itertools.product(
        ["", "a", "A"], [".", "..", "/", "\\", "%2e", "~"], ["", "b", "B", " ", "."]
    )
]
NAMES = sorted({*HOSTILE, *MADE})


@pytest.mark.parametrize(
    "template", ["{namespace}/{tableName}/{userId}", "u={namespace}/{tableName}/{shard}/id={userId}/files"]
)
def test_every_user_has_a_folder_of_its_own_within_the_storage(tmp_path: Path, template):
    root = tmp_path / "storage"
    backend = FilesystemBackend("s", FileSystem.posix(), str(root))
    parsed = parse_template(template, of_users=True)
    for user in NAMES:
        backend.write(f"{parsed.render('app', 'notes', user)}/manifest.json", user.encode())

    found = [Path(folder) / name for folder, _, names in os.walk(tmp_path) for name in names]
    assert len(found) == len(NAMES)
    assert {path.read_bytes().decode() for path in found} == set(NAMES)
    assert all(path.is_relative_to(root) for path in found)
    assert len({str(path).casefold() for path in found}) == len(NAMES)
    for user in NAMES:
        assert backend.read(f"{parsed.render('app', 'notes', user)}/manifest.json").decode() == user
    assert len(list(backend.list())) == len(NAMES)


def test_no_storage_has_a_hostile_name_place_or_template(db: kalamdb.Database, directory: Path):
    before = sorted(path.name for path in directory.parent.iterdir())
    for name in NAMES:
        quoted = name.replace("'", "''")
        if accepted(db, f"CREATE STORAGE '{quoted}' TYPE filesystem URI 'storages/x'"):
            assert name.isascii()
            assert name.isidentifier()
            assert name == name.lower()
            db.execute(f"DROP STORAGE '{quoted}'")
        if accepted(db, f"CREATE STORAGE place TYPE filesystem URI 'storages/{quoted}'"):
            db.execute("STORAGE CHECK place")
            db.execute("DROP STORAGE place")
        if accepted(
            db,
            "CREATE STORAGE patterned TYPE filesystem URI 'patterned' "
            f"SHARED_TABLES_TEMPLATE 's={quoted}/{{namespace}}/{{tableName}}' "
            "USER_TABLES_TEMPLATE 'u/{namespace}/{tableName}/{userId}'",
        ):
            folder = db.catalog.require_storage("patterned").shared_tables.render("app", "notes")
            assert not {"..", "."} & set(folder.split("/"))
            db.execute("DROP STORAGE patterned")

    assert sorted(path.name for path in directory.parent.iterdir()) == before


def accepted(db: kalamdb.Database, sql: str) -> bool:
    """Whether it ran; it may be refused for what it names alone."""
    try:
        db.execute(sql)
    except (InvalidDefinition, InvalidName, InvalidSyntax):
        return False
    return True


def test_no_storage_stands_where_the_database_keeps_a_file_of_its_own(tmp_path: Path):
    """A directory called as a secret that is yet to be made would keep everybody from logging in."""
    with kalamdb.open(tmp_path / "full") as full:
        full.execute(
            "CREATE STORAGE v TYPE s3 URI 's3://bucket' CREDENTIALS "
            """'{"access_key_id": "a", "secret_access_key": "b"}'"""
        )
        full.execute("CREATE USER ann PASSWORD 'a long secret'; CREATE TABLE t (id BIGINT PRIMARY KEY)")
        full.execute("INSERT INTO t VALUES (1)")
        full.front_door.log_in("ann", "a long secret", "192.0.2.1")
        full.flush()
        names = os.listdir(tmp_path / "full")
    assert {"jwt.secret", "master.key", "wal", "cold"} <= set(names)
    with kalamdb.open(tmp_path / "bare") as db:
        for name in names:
            for place in (
                name,
                name.upper(),
                f"{name}/x",
                f"{name}.",
                f"{name}.tmp" if "." in name else name,
            ):
                with pytest.raises((InvalidDefinition, InvalidName)):
                    db.execute(f"CREATE STORAGE place TYPE filesystem URI '{place}'")
