"""The page of every call over HTTP, made of the OpenAPI document that a server gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kalamdb.server.endpoints import ENDPOINTS
from kalamdb.server.openapi import document

NAME = "http-calls.md"
_SCHEMAS = "#/components/schemas/"
Schema = Mapping[str, Any]


def page() -> str:
    """The page's text."""
    told = document(ENDPOINTS)
    components = told["components"]
    parts = [
        "# Calls over HTTP\n\nWhat `GET /v1/api/openapi.json` tells programs, for people; what the calls mean is told "
        "in [HTTP](http.md) and [Authentication](authentication.md), what errors mean in [Error codes](errors.md). "
        "Every answer has the header `X-Request-ID`, every error the shape [ErrorAnswerShape](#erroranswershape).\n"
    ]
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            parts.append(f"\n## {method.upper()} {path}\n\n" + "\n".join(_operation(operation)))
    parts.append("\n## Where there is no call\n\n" + _table(("error", ""), _absent(components["responses"])))
    parts.append("\n## Shapes\n\nBodies are JSON. What is not required may be left out.\n")
    for name, schema in components["schemas"].items():
        parts.append(f"\n### {name}\n\n" + "\n".join(_shape(schema)))
    return "".join(parts)


def _operation(operation: Schema) -> Iterator[str]:
    yield f"{_sentence(operation['summary'])}\n"
    security = operation.get("security")
    if security is not None:
        yield f"Access token: {'may be given' if {} in security else 'required'}, as `Authorization: Bearer`.\n"
    if "parameters" in operation:
        rows = [(f"`{one['name']}`", _kind(one["schema"]), _required(one)) for one in operation["parameters"]]
        yield _table(("in the query", "type", ""), rows)
    if "requestBody" in operation:
        body = operation["requestBody"]
        (content,) = body["content"].values()
        yield f"Body: {_kind(content['schema'])}, {_required(body)}.\n"
    yield _table(("status", "answer", ""), map(_answer, *zip(*operation["responses"].items())))


def _answer(status: str, response: Schema) -> tuple[str, str, str]:
    kinds = [
        _kind(media["schema"]) if "schema" in media else f"`{name}`"
        for name, media in response.get("content", {}).items()
    ]
    headers = [
        f"Header `{name}`: {header['description']}." for name, header in response.get("headers", {}).items()
    ]
    return status, " or ".join(kinds), " ".join([_codes_marked(response), *headers])


def _absent(responses: Mapping[str, Schema]) -> Iterator[tuple[str, str]]:
    for name, response in responses.items():
        yield name, _codes_marked(response)


def _codes_marked(response: Schema) -> str:
    """The description, with the codes of the errors as code."""
    text: str = response["description"]
    for media in response.get("content", {}).values():
        for code in _codes(media.get("schema", {})):
            text = text.replace(f"{code}: ", f"`{code}`: ")
    return text


def _codes(schema: Schema) -> Iterator[str]:
    for part in schema.get("anyOf", ()):
        yield from _codes(part)
    for part in schema.get("allOf", ()):
        if "properties" in part:
            yield from part["properties"]["error"]["properties"]["code"]["enum"]


def _shape(schema: Schema) -> Iterator[str]:
    if "description" in schema:
        yield f"{schema['description']}\n"
    if "properties" in schema:
        required = schema.get("required", ())
        rows = [
            (f"`{name}`", _kind(of), "required" if name in required else "")
            for name, of in schema["properties"].items()
        ]
        yield _table(("member", "type", ""), rows)
    else:
        yield f"{_kind(schema)}\n"


def _kind(schema: Schema) -> str:
    """A type in words, with links to shapes."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_SCHEMAS)
        return f"[{name}](#{name.lower()})"
    if "allOf" in schema:
        return _kind(schema["allOf"][0])
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array" and "items" in schema:
        return f"array of {_kind(schema['items'])}"
    return str(schema.get("type", "any"))


def _required(of: Schema) -> str:
    return "required" if of.get("required") else "may be left out"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _table(head: tuple[str, ...], rows: Any) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in (head, *rows)]
    lines.insert(1, "|" + " --- |" * len(head))
    return "\n".join(lines) + "\n"
