"""Errors over HTTP: one table of statuses and codes, and what of an error is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kalamdb import errors
from kalamdb.server.error_answer import error_answer
from kalamdb.server.refusals import MethodNotAllowed

DOCUMENT = (Path(__file__).parent.parent.parent / "docs" / "http.md").read_text(encoding="utf-8")


def kinds(of: type[errors.Error] = errors.Error) -> Iterator[type[errors.Error]]:
    yield of
    for leaf in of.__subclasses__():
        yield from kinds(leaf)


def made(kind: type[errors.Error], message: str = "what is wrong") -> errors.Error:
    """One of it, whatever else its kind must know."""
    error = kind.__new__(kind)
    errors.Error.__init__(error, message)
    error.retry_after_s = 2.5
    error.methods = ("GET",)
    return error


@pytest.mark.parametrize("kind", list(dict.fromkeys(kinds())), ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_and_a_code_that_are_documented(kind: type[errors.Error]) -> None:
    told = error_answer(made(kind), "id-1", 1.5)
    shape = json.loads(told.body)

    assert 400 <= told.status < 600
    (row,) = [
        line
        for line in DOCUMENT.splitlines()
        if line.startswith("| ") and f"`{shape['error']['code']}`" in line
    ]
    assert str(told.status) in row.split("|")[1]
    assert shape["took_ms"] == shape["took"] == 1.5
    if told.status == 500:
        assert "what is wrong" not in shape["error"]["message"]


def test_what_is_not_of_ours_is_told_by_its_request_alone() -> None:
    shape = json.loads(error_answer(ValueError("/srv/secret"), "id-7", 0.1).body)

    assert shape["error"]["code"] == "INTERNAL_ERROR"
    assert "id-7" in shape["error"]["message"]
    assert "secret" not in json.dumps(shape)


def test_what_succeeded_and_where_it_failed_are_told() -> None:
    error = errors.InvalidSyntax("near 'x'", position=7)

    shape = json.loads(error_answer(error, "id", 0.1, [b'{"row_count":1}', b'{"row_count":2}']).body)

    assert shape["results"] == [{"row_count": 1}, {"row_count": 2}]
    assert shape["error"]["details"] == {"error": "InvalidSyntax", "sqlstate": "42601", "position": 7}


def test_a_message_that_is_no_unicode_is_told_all_the_same() -> None:
    assert json.loads(error_answer(errors.InvalidSyntax("near '\ud800'"), "id", 0.1).body)["error"]["message"]


@pytest.mark.parametrize(
    ("error", "header"),
    [
        (errors.RateLimitExceeded("slow down", retry_after_s=0.2), (b"retry-after", b"1")),
        (errors.AccountLocked("locked", retry_after_s=61.5), (b"retry-after", b"62")),
        (errors.StorageUnavailable("away"), (b"retry-after", b"1")),
        (errors.TokenExpired("over"), (b"www-authenticate", b"Bearer")),
        (MethodNotAllowed("no", methods=("GET", "HEAD")), (b"allow", b"GET, HEAD")),
    ],
)
def test_some_errors_have_headers(error: errors.Error, header: tuple[bytes, bytes]) -> None:
    assert header in error_answer(error, "id", 0.1).headers
