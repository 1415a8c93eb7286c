"""pyproject.toml: what a part of kalamdb imports is asked for by kalamdb itself, or by the extra of that part."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "src" / "kalamdb"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DISTRIBUTIONS = packages_distributions()

EXTRA_OF = {"server": "server", "cli": "cli", "sqlalchemy": "sqlalchemy", "client": "client", "aio": "client"}
"""The extra of each part that has one."""
DOORS = {("storage", "obstore"): "cloud", ("auth", "pyjwt"): "server"}
"""What other parts import when somebody asks for what needs it."""
OF_THE_CALLER = {"pandas", "polars"}
"""Asked for by `Result.df` and `Result.pl`: who calls them has them."""


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=~!; ]", one)[0].lower() for one in requirements}


DEPENDENCIES = names(PROJECT["dependencies"])
EXTRAS = PROJECT["optional-dependencies"]


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(top-level package, whether for type checkers alone) of each import of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        found = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found = [node.module]
        for name in found:
            yield name.split(".")[0], id(node) in typing_only


def wanted() -> list[tuple[str, str]]:
    """(part, distribution) of everything that is imported from others."""
    found = set()
    for path in SOURCES.rglob("*.py"):
        part = path.relative_to(SOURCES).parts[0].removesuffix(".py")
        for package, typing_only in imports(path):
            if typing_only or package in sys.stdlib_module_names or package in ("kalamdb", "kalamcore"):
                continue
            (distribution,) = set(DISTRIBUTIONS.get(package, [package]))
            found.add((part, distribution.lower().replace("_", "-")))
    return sorted(found)


@pytest.mark.parametrize(("part", "distribution"), wanted())
def test_what_a_part_imports_is_asked_for(part: str, distribution: str) -> None:
    extra = DOORS.get((part, distribution)) or EXTRA_OF.get(part)
    offered = DEPENDENCIES | (names(EXTRAS[extra]) if extra else set()) | OF_THE_CALLER

    assert distribution in offered, f"kalamdb.{part} imports {distribution}: name it in pyproject.toml, " + (
        f"extra {extra}" if extra else "as a dependency"
    )


def test_all_is_every_other_extra() -> None:
    (everything,) = EXTRAS["all"]

    assert set(re.findall(r"\w+", everything)) - {"kalamdb"} == EXTRAS.keys() - {"all"}


def test_tests_have_what_the_extras_ask_for() -> None:
    group = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]["test"]
    tested = names([one for one in group if isinstance(one, str)])

    assert {
        one for extra, asked in EXTRAS.items() if extra != "all" for one in names(asked)
    } - tested == set()


def test_wheels_are_built_for_what_the_classifiers_say() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    built = set(re.findall(r"cp3(\d+)-\*", tomllib.loads(text)["tool"]["cibuildwheel"]["build"]))
    said = {one.rsplit("3.")[1] for one in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", one)}

    assert built == said == {"11", "12", "13", "14"}
