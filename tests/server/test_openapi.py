"""The OpenAPI document, against what the server does and against the table of errors."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest

from kalamdb import errors
from kalamdb.server.endpoints import ENDPOINTS
from kalamdb.server.error_answer import ANSWERS
from kalamdb.server.openapi import document, told
from tests.server.serving import Served, sql


@pytest.fixture
def openapi(served: Served) -> dict[str, Any]:
    return served.client().get("/v1/api/openapi.json").json()


def responses(found: dict[str, Any]) -> list[tuple[int, str]]:
    """Status and code of every error that the document tells of."""
    of_calls = [
        (status, response)
        for methods in found["paths"].values()
        for operation in methods.values()
        for status, response in operation["responses"].items()
    ]
    elsewhere = [
        (str(told(getattr(__import__("kalamdb.server.refusals", fromlist=[name]), name))[0]), response)
        for name, response in found["components"]["responses"].items()
    ]
    return [
        (int(status), code)
        for status, response in of_calls + elsewhere
        for codes in re.findall(r'"enum": (\[[^]]*\])', json.dumps(response))
        for code in json.loads(codes)
    ]


def test_it_is_an_openapi_document_of_every_call(openapi: dict[str, Any]) -> None:
    assert openapi["openapi"] == "3.1.0"
    assert openapi["servers"] == [{"url": "/"}]
    calls = {(method.upper(), path) for path, methods in openapi["paths"].items() for method in methods}
    assert calls == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
    names = [
        operation["operationId"] for methods in openapi["paths"].values() for operation in methods.values()
    ]
    assert len(set(names)) == len(names)


def test_the_table_of_errors_and_the_document_agree(openapi: dict[str, Any]) -> None:
    documented = set(responses(openapi))
    answered = {told(error) for error in ANSWERS if error is not BaseException}

    assert documented == answered


def test_every_reference_leads_to_a_shape(openapi: dict[str, Any]) -> None:
    references = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(openapi)))

    assert references <= set(openapi["components"]["schemas"])
    assert set(openapi["components"]["schemas"]) <= references, "there are shapes that nothing refers to"


STATEMENTS = [
    "SELECT id, body FROM app.notes",
    "SELECT 1.5::DECIMAL(10, 2) AS d, NULL AS n, TRUE AS b, 1.5 AS f, X'00ff' AS x",
    "SHOW TABLES; DESCRIBE TABLE app.notes",
    "SELECT 1; SELECT nothing",
    "SELEC",
    "",
    "SELECT * FROM app.no_such_table",
    "INSERT INTO app.notes VALUES (1, NULL)",
]


@pytest.mark.parametrize("text", STATEMENTS)
def test_answers_have_the_shapes_of_the_document(served: Served, openapi: dict[str, Any], text: str) -> None:
    answer = sql(served, "dora", text)

    responses = openapi["paths"]["/v1/api/sql"]["post"]["responses"]
    schema = responses[str(answer.status_code)]["content"]["application/json"]["schema"]
    jsonschema.Draft202012Validator({**schema, "components": openapi["components"]}).validate(answer.json())


def test_an_error_of_no_own_entry_is_told_as_the_nearest_class_above_it() -> None:
    assert told(errors.UniqueViolation) == (400, "SQL_EXECUTION_ERROR")
    assert told(errors.SegmentMissing) == (500, "INTERNAL_ERROR")


def test_the_document_is_the_same_each_time() -> None:
    assert document(ENDPOINTS) == document(ENDPOINTS)


def test_the_page_at_the_root_loads_nothing(served: Served) -> None:
    answer = served.client().get("/")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "http:" not in answer.text
    assert "https:" not in answer.text
    assert re.findall(r"<(script|img|link|iframe)", answer.text) == []
    for path in re.findall(r'href="([^"]+)"', answer.text):
        assert served.client().get(f"/{path}").status_code == 200
