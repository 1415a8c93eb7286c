"""The documents are complete, and what they show runs.

Every ```sql block of docs/ is run, in order, on a database of its own per document.
A line `-- refused: CODE` before a statement says that it must be refused with that code.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import kalamdb
from kalamcore.statements import split
from kalamdb import errors

ROOT = Path(__file__).parent.parent
SQL_DOCUMENTS = [
    path
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if path.parent.name != "decisions" and "\n```sql\n" in path.read_text(encoding="utf-8")
]


def blocks(path: Path, language: str) -> list[tuple[int, str]]:
    """(line, text) of each fenced block of a language."""
    text = path.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, match.start()) + 2, match[1])
        for match in re.finditer(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    ]


def statement_names() -> list[tuple[str, str]]:
    """(rule, its first words in capitals) of every statement of the grammar."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "grammar").glob("*.lark")))
    text = re.sub(r"(?<!\S)//.*", "", text)
    rules = dict(re.findall(r"^[?!]*([a-z_]+):((?:.*\n)(?:[ \t]+.*\n|\n(?=[ \t]*\|))*)", text, re.MULTILINE))
    found: list[tuple[str, str]] = []

    def visit(name: str) -> None:
        for alternative in re.split(r"\n\s*\|| \| (?=[a-z_]+\s*(?:\||\n|$))", rules[name]):
            body, _, alias = alternative.partition("->")
            required = re.sub(r"\[[^]]*\]", "", body)
            keywords = re.match(r'\s*\(?((?:"[A-Z_]+"i\s*)+)', required)
            words = body.split()
            if keywords:
                found.append(((alias.strip() or name), " ".join(re.findall(r'"([A-Z_]+)"', keywords[1]))))
            elif len(words) == 1 and words[0] in rules:
                visit(words[0])

    for chapter in rules["statement"].split("|"):
        visit(chapter.strip())
    return found


def test_the_grammar_was_understood_by_this_test() -> None:
    rules = {name for name, _ in statement_names()}

    assert {"create_table", "alter_table", "insert", "update", "delete", "show_tables", "begin"} <= rules


@pytest.mark.parametrize(("rule", "words"), statement_names())
def test_every_statement_of_the_grammar_is_in_the_sql_reference(rule: str, words: str) -> None:
    reference = (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")

    assert re.search(r"\b" + r"\b[^\n]*?\b".join(words.split()), reference), (
        f"docs/sql.md lacks {words} ({rule})"
    )


def test_every_setting_is_in_the_documents() -> None:
    with kalamdb.open(":memory:") as db:
        settings = [name for (name,) in db.execute("SELECT name FROM system.settings").fetchall()]
    text = "\n".join(
        path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    )

    assert settings
    assert [name for name in settings if f"`{name}`" not in text] == []


@pytest.mark.parametrize("path", SQL_DOCUMENTS, ids=lambda path: path.name)
def test_every_sql_example_runs(path: Path) -> None:
    with kalamdb.open(":memory:") as db:
        for line, block in blocks(path, "sql"):
            before = 0
            for start, end in split(block):
                statement, comment = block[start:end], block[before:start]
                before = end
                refused = re.search(r"^-- refused: (\w+)", comment, re.MULTILINE)
                where = f"{path.name}:{line + block.count(chr(10), 0, start)}: {statement}"
                code = None
                try:
                    db.execute(statement)
                except kalamdb.Error as error:
                    code, where = error.code, f"{where}\n{error.message}"

                assert code == (refused[1] if refused else None), where


PROGRAMS = [
    (path, line, text)
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for line, text in blocks(path, "python")
]


@pytest.mark.parametrize(
    ("path", "line", "text"), PROGRAMS, ids=[f"{path.name}:{line}" for path, line, _ in PROGRAMS]
)
def test_every_program_runs_and_prints_what_it_says(path: Path, line: int, text: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == re.findall(r"# > (.*)", text), f"{path.name}:{line}"


def test_the_readme_and_the_pages_of_python_and_storage_have_programs() -> None:
    assert {"README.md", "python.md", "storage.md", "formats.md"} <= {path.name for path, _, _ in PROGRAMS}


def test_every_link_of_the_documents_leads_somewhere() -> None:
    broken = []
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
            file, _, anchor = target.partition("#")
            to = (path.parent / file).resolve() if file else path
            if not to.exists() or (anchor and anchor not in anchors(to)):
                broken.append(f"{path.name}: {target}")

    assert broken == []


def anchors(path: Path) -> set[str]:
    """Of the headings of a page, as links name them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_demonstration_runs_on_the_conversations_of_this_repository(tmp_path: Path) -> None:
    program = (
        "import runpy, pathlib; demo = runpy.run_path('examples/demo.py');"
        "demo['tour'].__globals__['REAL'] = pathlib.Path('nowhere');"
        f"demo['tour'](pathlib.Path({str(tmp_path / 'data')!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "Nothing is missing." in done.stdout
    assert "NOT_NULL_VIOLATION" in done.stdout
    assert "PERMISSION_DENIED" in done.stdout or "TABLE_NOT_FOUND" in done.stdout


def test_architecture_names_folders_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    layout = text.split("## Layout")[1].split("```")[1]
    named = re.findall(r"^(\S+/)", layout, re.MULTILINE)

    assert named
    assert [folder for folder in named if not (ROOT / folder).is_dir()] == []


@pytest.mark.parametrize(
    "number", ["001", "002", "003", "004", "005", "006", "007", "008", "010", "011", "012"]
)
def test_each_delivered_requirement_has_its_script_and_a_line_in_the_reference(number: str) -> None:
    assert list((ROOT / "tests" / "scripts" / "integrity").glob(f"{number}_*.slt"))
    assert f"FR-DB-{number}" in (ROOT / "docs" / "sql.md").read_text(encoding="utf-8")


def test_the_page_of_python_has_every_error_with_its_code_and_place_in_the_tree() -> None:
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:· )*)`(\w+)` \| ([A-Z_]+) \| (\w{5}) \|", text, re.MULTILINE)
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.Error) and kind is not errors.Error
    ]

    assert {(name, code, sqlstate, len(dots) // 2) for dots, name, code, sqlstate in rows} == {
        (kind.__name__, kind.code, kind.sqlstate, kind.__mro__.index(errors.Error) - 1) for kind in kinds
    }
