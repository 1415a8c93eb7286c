"""What SQLite's own tests ask of it is answered the same here, wherever the rows are, or listed with a reason.

A sample, other scripts in every run; `make proof` asks everything in all modes.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from tests.proof_seed import SEED
from tests.script_runner import read_script
from tests.third_party import listed
from tests.third_party.suite import MODES, PATHS, run

ROOT = Path(__file__).parents[2]
SAMPLED = 80
SAMPLE = sorted(random.Random(SEED).sample([(path, mode) for path in PATHS for mode in MODES], SAMPLED))


@pytest.fixture(scope="module")
def differences() -> dict[listed.Query, str]:
    return listed.read(listed.DIFFERENCES)


@pytest.fixture(scope="module")
def refused() -> dict[listed.Query, str]:
    return listed.read(listed.REFUSED)


@pytest.mark.parametrize(
    ("path", "mode"), [pytest.param(*one, id=f"{one[0].stem}-{one[1]}") for one in SAMPLE]
)
def test_queries_are_answered_as_their_authors_say(
    path: Path, mode: str, differences: dict[listed.Query, str], refused: dict[listed.Query, str]
) -> None:
    figures = run(path, mode, differences, refused)

    assert figures.asked
    assert not figures.findings, "\n".join(figures.findings)


def test_lists_name_queries_that_there_are(
    differences: dict[listed.Query, str], refused: dict[listed.Query, str]
) -> None:
    asked = {
        (path.stem, record.arguments.split(" ", 2)[2])
        for path in PATHS
        for record in read_script(path.read_text(encoding="utf-8"))
        if record.command == "query"
    }

    assert not {*differences, *refused} - asked
    assert not {*differences} & {*refused}


def test_what_is_refused_is_refused_with_an_error_of_the_documents(refused: dict[listed.Query, str]) -> None:
    told = set(
        re.findall(r"[A-Z_]{4,}", (ROOT / "docs/sql.md").read_text(encoding="utf-8").split("## Errors")[1])
    )

    assert {title.partition(":")[0] for title in refused.values()} <= told


def test_nine_of_ten_queries_that_are_answered_are_answered_the_same(
    differences: dict[listed.Query, str], refused: dict[listed.Query, str]
) -> None:
    asked = sum(text.count("\nquery ") for text in (path.read_text(encoding="utf-8") for path in PATHS))

    assert asked > 5_000
    assert len(differences) < (asked - len(refused)) / 10
