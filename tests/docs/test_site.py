"""The site: it builds without a warning, has everything there is to know, and loads nothing from elsewhere."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

import kalamdb
from kalamdb import errors
from kalamdb.cli.kalam import kalam
from kalamdb.server.description import ANY_PATH
from kalamdb.server.endpoints import ENDPOINTS
from kalamdb.server.openapi import document
from kalamdb.server.openapi import told as told_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    place = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", place],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    return place


def text_of(page: Path) -> str:
    """What a reader sees, without markup."""
    article = page.read_text(encoding="utf-8").split("<article")[1].split("</article>")[0]
    return html.unescape(re.sub(r"<[^>]*>", "", article))


@pytest.fixture(scope="session")
def texts(site: Path) -> dict[str, str]:
    """Of every page, by its place."""
    return {
        page.parent.relative_to(site).as_posix(): text_of(page)
        for page in site.rglob("index.html")
        if "<article" in page.read_text(encoding="utf-8")
    }


def commands(group: click.Group, before: str = "kalam") -> list[str]:
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None and not command.hidden:
            found.append(f"{before} {name}")
            if isinstance(command, click.Group):
                found += commands(command, f"{before} {name}")
    return found


def missing(names: list[str], text: str) -> list[str]:
    return [name for name in names if not re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.]\w)", text)]


def test_every_setting_is_in_the_site(texts: dict[str, str]) -> None:
    with kalamdb.open(":memory:") as db:
        names = [name for (name,) in db.execute("SELECT name FROM system.settings")]

    assert len(names) > 40
    assert missing(names, texts["settings"]) == []


def test_every_error_code_is_in_the_site(texts: dict[str, str]) -> None:
    classes = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.Error)
    ]

    assert len(classes) > 40
    assert missing([kind.code for kind in classes], texts["errors"]) == []
    assert missing([kind.__name__ for kind in classes], texts["errors"]) == []


def test_every_system_table_and_column_is_in_the_site(texts: dict[str, str]) -> None:
    with kalamdb.open(":memory:") as db:
        db.execute("CREATE USER TABLE t (id BIGINT PRIMARY KEY)")
        session = db.session("root")
        names = ["_seq", "_updated", "_deleted", "_user"]
        tables = re.findall(r"^((?:system|information_schema)\.\w+)", texts["system-tables"], re.MULTILINE)
        columns = {
            table: session.execute(f"SELECT * FROM {table} LIMIT 0").columns
            for table in set(tables) - {"system.live", "system.sessions", "system.cluster"}
        }

    assert len(columns) >= 15
    assert missing(names, texts["system-tables"]) == []
    for table, found in columns.items():
        section = texts["system-tables"].split(f"\n{table}¶", 1)[-1].split("¶")[0]
        assert missing(list(found), section) == [], table


def test_every_command_and_statement_is_in_the_site(texts: dict[str, str]) -> None:
    chapters = [path.read_text(encoding="utf-8").strip() for path in (ROOT / "grammar").glob("*.lark")]

    assert missing(commands(kalam), texts["command-line"]) == []
    assert [chapter for chapter in chapters if chapter[:200] not in texts["grammar"]] == []


def test_every_call_shape_and_error_over_http_is_in_the_site(texts: dict[str, str]) -> None:
    told = document(ENDPOINTS)
    page = texts["http-calls"]
    sections = dict(
        re.findall(r"^((?:GET|POST) /\S*?)¶$(.*?)(?=^[^\n]+¶$|\Z)", page, re.MULTILINE | re.DOTALL)
    )

    assert len(sections) == len(ENDPOINTS)
    for endpoint in ENDPOINTS:
        section = sections[f"{endpoint.method} {endpoint.path}"]
        codes = {told_of(error)[1] for error in endpoint.description.errors}
        assert missing(sorted(codes), section) == [], endpoint.path
        for status in told["paths"][endpoint.path][endpoint.method.lower()]["responses"]:
            assert re.search(rf"^{status}$", section, re.MULTILINE), (endpoint.path, status)
    for name, schema in told["components"]["schemas"].items():
        section = page.split(f"\n{name}¶", 1)[-1].split("¶")[0]
        assert missing(list(schema.get("properties", {})), section) == [], name
    assert missing([code for error in ANY_PATH for code in [told_of(error)[1]]], page) == []


def test_every_public_name_is_in_the_python_reference(texts: dict[str, str]) -> None:
    page = texts["python-api"]
    dbapi = texts["dbapi"]

    assert [
        name
        for name in kalamdb.__all__
        if not re.search(rf"kalamdb\.(\w+\.)?{name}\b", page) and missing([name], dbapi)
    ] == []
    assert missing(["snowflake_id", "uuid7", "ulid", "first_null", "lifespan", "fetchone"], page) == []


def test_every_decision_and_guide_is_in_the_navigation(site: Path) -> None:
    home = (site / "index.html").read_text(encoding="utf-8")
    pages = [*(ROOT / "docs").rglob("*.md")]

    assert pages
    for page in pages:
        place = page.relative_to(ROOT / "docs").with_suffix("").as_posix()
        assert f'href="{place}/"' in home, place


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loading = re.compile(
        r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?(?:https?:)?//|<link\b[^>]*>", re.IGNORECASE
    )
    found = [
        (page.name, tag)
        for page in site.rglob("*.html")
        if page.is_file()
        for tag in loading.findall(page.read_text(encoding="utf-8"))
        if "<link" not in tag
        or re.search(r"rel=\"?(stylesheet|preconnect|icon)[^>]*href=\"?(https?:)?//", tag)
    ]
    styles = [
        page for page in site.rglob("*.css") if re.search(r"url\(\"?(https?:)?//", page.read_text("utf-8"))
    ]

    assert found == []
    assert styles == []
