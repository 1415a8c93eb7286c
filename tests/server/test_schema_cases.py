"""S12: requests made of the OpenAPI document have no answer that the document does not have."""

from __future__ import annotations

import kalamdb
from kalamdb.server import healthcheck as module
from tests.server import schema_cases

SAMPLE = 300


def test_no_request_has_an_answer_that_the_document_does_not_have(seed: int) -> None:
    figures = schema_cases.prove(seed, SAMPLE)

    assert figures.findings == []
    assert figures.tried >= SAMPLE
    assert figures.outcomes["answered 200"] > 0
    assert figures.outcomes["answered 400"] > 0


def test_an_answer_that_it_does_not_have_is_found(seed: int, monkeypatch) -> None:
    monkeypatch.setattr(module, "API_VERSION", None)
    monkeypatch.setattr(kalamdb, "__version__", 7)

    figures = schema_cases.prove(seed, 12)

    assert any("healthcheck" in finding for finding in figures.findings)
