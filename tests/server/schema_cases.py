"""Requests made of the server's own OpenAPI document by schemathesis, right and wrong ones, and what is answered.

Wrong is an answer of 500 and above, and any answer that the document does not have: its status, its kind, its shape.
Half of the texts of statements are taken from real ones, for what is made at random is seldom SQL.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import hypothesis
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import kalamdb
from tests.crash.failures import Figures
from tests.server.serving import Served, token_of

WHOLE = 2_000
"""Cases of the proof."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
STATEMENTS = [
    "SELECT 1",
    "SELECT * FROM app.notes",
    "SELECT body, count(*) FROM app.notes GROUP BY body ORDER BY 2 DESC LIMIT 3",
    "SELECT CAST('x' AS BIGINT)",
    "SELECT * FROM no_such_table",
    "INSERT INTO app.notes (id, body) VALUES (1, 'one') ON CONFLICT (id) DO NOTHING",
    "INSERT INTO app.notes (id, body) VALUES (?, ?)",
    "SELECT ? + ?, ?",
    "UPDATE app.notes SET body = NULL",
    "DELETE FROM app.notes WHERE id = ?",
    "BEGIN; INSERT INTO app.notes (id, body) VALUES (1, 'one'); ROLLBACK",
    "SELECT 1; SELEC",
    "SHOW TABLES",
    "DESCRIBE TABLE app.notes",
    "WITH t AS (SELECT 1 AS n) SELECT n / 0 FROM t",
    "",
    ";",
    "--",
]


def prove(seed: int, cases: int) -> Figures:
    """Ask that many, shared by all calls."""
    load_all_checks()
    figures = Figures()
    with (
        tempfile.TemporaryDirectory(prefix="schema-") as directory,
        kalamdb.open(Path(directory) / "data", metrics="open") as db,
    ):
        db.execute(
            "CREATE NAMESPACE app; CREATE SHARED TABLE app.notes (id BIGINT PRIMARY KEY, body TEXT NOT NULL)"
        )
        db.execute("CREATE USER dora WITH ROLE dba")
        # So that the first passwords can be given by one of the cases.
        db.asgi().loopback = True
        with Served(db) as served:
            schema = schemathesis.openapi.from_url(f"{served.url}/v1/api/openapi.json")
            operations = [found.ok() for found in schema.get_all_operations()]
            headers = {"Authorization": f"Bearer {token_of(db, 'dora')}"}
            while figures.tried < cases:
                # Calls that take nothing have one right request: the others have their share in the next round.
                share = max(1, (cases - figures.tried) // len(operations))
                for operation in operations:
                    seed += 1
                    _ask(served, operation, headers, seed, share, figures)
    return figures


def _ask(
    served: Served, operation: Any, headers: dict[str, str], seed: int, cases: int, figures: Figures
) -> None:
    chance = random.Random(seed)
    # Wrong requests are made of what a request has; where that is nothing, there are none.
    has_parts = bool(operation.body or operation.query)
    modes = (
        [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
        if has_parts
        else [schemathesis.GenerationMode.POSITIVE]
    )
    for mode in modes:

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=max(1, cases // len(modes)),
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            for part in (case.body, case.query):
                if isinstance(part, dict) and isinstance(part.get("sql"), str) and chance.random() < 0.5:
                    part["sql"] = chance.choice(STATEMENTS)
            figures.tried += 1
            response = case.call(base_url=served.url, headers=headers)
            figures.outcomes[f"answered {response.status_code}"] += 1
            try:
                case.validate_response(response, checks=CHECKS)
            except FailureGroup as failures:
                what = "; ".join(f"{one.title}: {one.message}" for one in failures.exceptions)
                figures.find(f"{operation.label}: {what[:500]}")

        ask()
