"""GET /v1/api/openapi.json: every call, every answer and every error, made of the descriptions beside the endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from kalamdb.server.call import JSON
from kalamdb.server.description import ANY_PATH, Description
from kalamdb.server.error_answer import ANSWERS, Told
from kalamdb.server.sql_shapes import ErrorAnswerShape
from kalamdb.version import __version__

if TYPE_CHECKING:
    from kalamdb.server.call import Call
    from kalamdb.server.endpoints import Endpoint

OPENAPI_VERSION = "3.1.0"
_BEARER = "accessToken"
_ABOUT = (
    "SQL over HTTP for a kalamdb database. Log in for an access token, and send it with every statement. Every answer "
    "has the header X-Request-ID; every error has the shape ErrorAnswerShape."
)


async def openapi(call: Call) -> None:
    """The document; where the application is mounted, with that place in it."""
    application = call.application
    found = document(application.endpoints)
    found["servers"] = [{"url": call.scope.get("root_path") or "/"}]
    await call.answer(200, msgspec.json.encode(found), JSON)


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The OpenAPI document of these calls, without `servers`."""
    endpoints = tuple(endpoints)
    shapes: dict[type, None] = {ErrorAnswerShape: None}
    for endpoint in endpoints:
        described = endpoint.description
        shapes |= dict.fromkeys(
            shape
            for shape in (described.answer, described.body, *described.others.values())
            if shape is not None
        )
    _, schemas = msgspec.json.schema_components(tuple(shapes), ref_template="#/components/schemas/{name}")
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint.description)
    return {
        "openapi": OPENAPI_VERSION,
        "info": {"title": "kalamdb", "version": __version__, "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {error.__name__: _error_response([error]) for error in ANY_PATH},
            "securitySchemes": {
                _BEARER: {"type": "http", "scheme": "bearer", "description": "of POST /v1/api/auth/login"}
            },
        },
    }


def told(error: type[BaseException]) -> tuple[int, str]:
    """The status and code that an error is answered with."""
    found: Told = next(ANSWERS[one] for one in error.__mro__ if one in ANSWERS)
    return found.status, found.code or str(getattr(error, "code", ""))


def _operation(described: Description) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": described.name,
        "summary": described.summary,
        "responses": _responses(described),
    }
    if described.query is not None:
        operation["parameters"] = _parameters(described.query)
    if described.body is not None:
        operation["requestBody"] = {
            "required": not described.body_optional,
            "content": {"application/json": {"schema": _reference(described.body)}},
        }
    if described.token:
        operation["security"] = [{_BEARER: []}]
    elif described.body_optional:
        operation["security"] = [{}, {_BEARER: []}]
    return operation


def _responses(described: Description) -> dict[str, Any]:
    content: dict[str, Any] = {kind: {} for kind in described.media}
    if described.answer is not None:
        content = {"application/json": {"schema": _reference(described.answer)}} | content
    responses: dict[str, Any] = {"200": {"description": _first_line(described.answer), "content": content}}
    by_status: dict[int, list[type[BaseException]]] = {}
    for error in described.errors:
        by_status.setdefault(told(error)[0], []).append(error)
    for status, found in sorted(by_status.items()):
        responses[str(status)] = _error_response(found, described.others.get(status))
    for status in described.others.keys() - by_status.keys():
        shape = described.others[status]
        responses[str(status)] = {
            "description": _first_line(shape),
            "content": {"application/json": {"schema": _reference(shape)}},
        }
    return responses


def _error_response(
    found: list[type[BaseException]], other: type[msgspec.Struct] | None = None
) -> dict[str, Any]:
    codes = sorted({told(error)[1] for error in found})
    schema: dict[str, Any] = {
        "allOf": [
            _reference(ErrorAnswerShape),
            {"properties": {"error": {"properties": {"code": {"enum": codes}}}}},
        ]
    }
    if other is not None:
        schema = {"anyOf": [_reference(other), schema]}
    lines = [f"{told(error)[1]}: {_first_line(error)}" for error in found]
    response: dict[str, Any] = {
        "description": " ".join(dict.fromkeys(lines)),
        "content": {"application/json": {"schema": schema}},
    }
    headers = _headers({told(error)[0] for error in found})
    return response | ({"headers": headers} if headers else {})


def _headers(statuses: set[int]) -> Mapping[str, Any]:
    headers: dict[str, Any] = {}
    if statuses & {429, 503}:
        headers["Retry-After"] = {"description": "seconds", "schema": {"type": "integer", "minimum": 1}}
    return headers


def _parameters(query: type[msgspec.Struct]) -> list[dict[str, Any]]:
    schema = msgspec.json.schema_components((query,))[1][query.__name__]
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema["required"],
            # Of a query string everything is text: none is told by leaving it out.
            "schema": {"type": "string"},
        }
        for name in schema["properties"]
    ]


def _reference(shape: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{shape.__name__}"}


def _first_line(described: type | None) -> str:
    text = None if described is None else described.__doc__
    return (text or "what was asked for").strip().partition("\n")[0]
