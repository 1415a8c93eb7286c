"""Bodies that are no request: each is answered with a 4xx that says what is wrong, and none with 200 or a 5xx."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Iterator

import pytest

import kalamdb
from tests.server.serving import DEADLINE_S, Served, token_of

GOOD = b'{"sql":"SELECT 1"}'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all of them: they change nothing."""
    with kalamdb.open(tmp_path_factory.mktemp("bodies") / "data") as db:
        db.execute("CREATE USER sam WITH ROLE service")
        with Served(db) as serving:
            yield serving


def post(served: Served, body: bytes, **headers: str):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return served.client("sam").post(
        "/v1/api/sql", content=body, headers={"Content-Type": "application/json", **named}
    )


NOT_JSON = [
    b"", b" ", b"{", b"}", b"[", b"nul", b'{"sql":}', b'{"sql" "SELECT 1"}', b'{"sql":"SELECT 1",}',
    b'{,"sql":"SELECT 1"}',
    b'{"sql":"SELECT 1"}x', b'{"sql":"SELECT 1"}{"sql":"SELECT 1"}', b"{'sql':'SELECT 1'}", b'{sql:"SELECT 1"}',
    b'{"sql":"SELECT 1","params":[NaN]}', b'{"sql":"SELECT 1","params":[Infinity]}', b'{"sql":"SELECT 1","params":[-]}',
    b'{"sql":"SELECT 1","params":[01]}', b'{"sql":"SELECT 1","params":[1.]}', b'{"sql":"SELECT 1","params":[.5]}',
    b'{"sql":"SELECT 1","params":[1e]}', b'{"sql":"SELECT 1","params":[+1]}', b'{"sql":"SELECT 1","params":[0x1]}',
    b'{"sql":"SELECT 1","params":[1,]}', b'{"sql":"SELECT 1","params":[1 2]}', b'{"sql":"SELECT 1","params":[1}',
    b'{"sql":"SELECT 1","params":[tru]}', b'{"sql":"SELECT 1","params":[True]}', b'{"sql":"SELECT 1","params":["a]}',
    b'{"sql":"a\nb"}', b'{"sql":"a\tb"}', b'{"sql":"a\x00b"}', b'{"sql":"\\x41"}', b'{"sql":"\\u12"}', b'{"sql":"\\"}',
    b'{"sql":"\xff"}', b'{"sql":"\xc3"}', b'{"sql":"\xc0\xaf"}', b'{"sql":"\xed\xa0\x80"}',
    b'{"sql":"\xf4\x90\x80\x80"}',
    b'\xef\xbb\xbf{"sql":"SELECT 1"}', b'{"sql":"\\ud800"}', b'{"sql":"\\udc00\\ud800"}',
    "\ufeff{}".encode("utf-16"), b'/* */{"sql":"SELECT 1"}', b'{"sql":"SELECT 1"}//', b"\x1f\x8b", b"\x80",
]  # fmt: skip
NO_REQUEST = [
    b"null", b"5", b'"SELECT 1"', b"[]", b'["SELECT 1"]', b"{}", b'{"sql":null}', b'{"sql":5}', b'{"sql":["SELECT 1"]}',
    b'{"SQL":"SELECT 1"}', b'{"sql":"SELECT 1","params":{}}', b'{"sql":"SELECT 1","params":"1"}',
    b'{"sql":"SELECT 1","namespace_id":5}', b'{"sql":"SELECT 1","user":"dora"}', b'{"sql":"SELECT 1","extra":null}',
    b'{"sql":"SELECT 1","sql":"SELECT 2"}', b'{"sql":"SELECT 1","s\\u0071l":"SELECT 2"}',
    b'{"sql":"SELECT 1","params":[],"params":[1]}', b'{"sql":"SELECT ?","params":[{"a":1,"\\u0061":2}]}',
]  # fmt: skip


@pytest.mark.parametrize("body", NOT_JSON + NO_REQUEST, ids=range(len(NOT_JSON + NO_REQUEST)))
def test_a_body_that_is_no_request_is_refused(served: Served, body: bytes) -> None:
    answer = post(served, body)

    assert answer.status_code == 400, body
    assert answer.json()["error"]["code"] == "INVALID_REQUEST", body


@pytest.mark.parametrize("depth", [1_000, 200_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_body_that_is_nested_without_end_is_refused(served: Served, depth: int, opening: bytes) -> None:
    answer = post(served, b'{"sql":"SELECT ?","params":' + opening * depth)

    assert answer.status_code in (400, 413)


@pytest.mark.parametrize(
    "body",
    [
        b' \t\r\n{ "sql" : "SELECT 1" } \n',
        b'{"sql":"SELECT ?","params":[1e2]}',
        b'{"sql":"SELECT ?","params":["\\ud834\\udd1e\\u0000\\"\\\\\\/"]}',
        '{"sql":"SELECT \'ä𝄞\'"}'.encode(),
        b'{"sql":"SELECT ?","params":[{"sql":1}]}',
        b'{"sql":"SELECT 1","params":null,"namespace_id":null}',
        b'{"sql":"SELECT 1","params":[]}',
    ],
)
def test_a_body_that_is_one_is_taken(served: Served, body: bytes) -> None:
    answer = post(served, body)

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" * 400, "0." + "1" * 5000, "-0", "1E+2"])
def test_numbers_beyond_all_types_are_no_fault_of_the_server(served: Served, number: str) -> None:
    answer = post(served, b'{"sql":"SELECT ? + 1","params":[%s]}' % number.encode())

    assert answer.status_code in (200, 400)


def test_identity_from_request_field(served: Served) -> None:
    """Who asks is the token's matter: no member, header or query says it, whatever its name."""
    for member in ("user", "user_id", "as_user", "role", "identity", "session"):
        refused = post(served, json.dumps({"sql": "SELECT CURRENT_USER()", member: "dora"}).encode())
        assert refused.status_code == 400

    answer = served.client("sam").post(
        "/v1/api/sql?user=dora",
        json={"sql": "SELECT CURRENT_USER(), CURRENT_ROLE()"},
        headers={"X-User": "dora", "X-User-ID": "dora", "X-Remote-User": "dora", "Cookie": "user=dora"},
    )
    assert answer.json()["results"][0]["rows"] == [["sam", "service"]]
    assert answer.json()["results"][0]["as_user"] == "sam"


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
        "",
        "application/json; charset=latin-1",
    ],
)
def test_a_body_of_another_kind_is_refused(served: Served, kind: str) -> None:
    answer = post(served, GOOD, Content_Type=kind)

    assert answer.status_code == 415
    assert answer.json()["error"]["code"] == "UNSUPPORTED_MEDIA_TYPE"


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON;charset=UTF-8", 'application/json; charset="utf-8"']
)
def test_json_is_json_however_it_is_spelled(served: Served, kind: str) -> None:
    assert post(served, GOOD, Content_Type=kind).status_code == 200


def test_a_gzip_body_is_unpacked(served: Served) -> None:
    assert post(served, gzip.compress(GOOD, mtime=0), Content_Encoding="gzip").status_code == 200


def test_a_gzip_bomb_is_refused_without_being_unpacked(served: Served) -> None:
    bomb = gzip.compress(b" " * 200_000_000 + GOOD, mtime=0)

    answer = post(served, bomb, Content_Encoding="gzip")

    assert len(bomb) < served.db.settings.request_bytes_max
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (GOOD, "gzip", 400),
        (gzip.compress(GOOD, mtime=0)[:-9], "gzip", 400),
        (gzip.compress(GOOD, mtime=0) + b"x", "gzip", 400),
        (GOOD, "br", 415),
        (gzip.compress(GOOD, mtime=0), "gzip, gzip", 415),
    ],
)
def test_an_encoding_that_is_none_is_refused(served: Served, body: bytes, encoding: str, status: int) -> None:
    assert post(served, body, Content_Encoding=encoding).status_code == status


def test_a_chunked_body_is_taken(served: Served) -> None:
    answer = served.client("sam").post(
        "/v1/api/sql",
        content=iter([GOOD[:5], GOOD[5:], b""]),
        headers={"Content-Type": "application/json"},
    )

    assert answer.status_code == 200


def raw(served: Served, head: str, body: bytes = b"") -> socket.socket:
    """A connection on which a request was begun by hand."""
    connection = socket.create_connection(("127.0.0.1", served.port), DEADLINE_S)
    token = token_of(served.db, "sam")
    connection.sendall(
        f"POST /v1/api/sql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\n{head}\r\n".encode()
        + body
    )
    return connection


def status_of(connection: socket.socket) -> int:
    answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 "), answer
    return int(answer[9:12])


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(served: Served) -> None:
    with raw(served, "Content-Length: 1048577\r\n") as connection:
        assert status_of(connection) == 413


def test_a_body_that_says_not_how_large_it_is_is_refused_when_it_is_too_large(served: Served) -> None:
    piece = b"%x\r\n%s\r\n" % (300_000, b" " * 300_000)
    with raw(served, "Transfer-Encoding: chunked\r\n", piece * 4) as connection:
        assert status_of(connection) == 413


def test_one_that_is_as_large_as_may_be_is_read(served: Served) -> None:
    size = served.db.settings.request_bytes_max

    assert post(served, GOOD + b" " * (size - len(GOOD))).status_code == 200
    assert post(served, GOOD + b" " * (size + 1 - len(GOOD))).status_code == 413


def test_ten_thousand_headers_are_refused(served: Served) -> None:
    with raw(served, "".join(f"X-{number}: y\r\n" for number in range(10_000)), b"") as connection:
        assert status_of(connection) == 431


def test_large_headers_and_queries_are_refused(served: Served) -> None:
    client = served.client("sam")

    assert client.get("/v1/api/healthcheck", headers={"X-Large": "y" * 70_000}).status_code == 431
    long = "/v1/api/sql?sql=" + "y" * 60_000
    assert client.get(long).status_code == 400
    assert client.get(long, headers={"X-Large": "y" * 10_000}).status_code == 431
    assert client.get("/v1/api/healthcheck").status_code == 200


def test_a_client_that_goes_before_its_end_leaves_the_server_well(served: Served) -> None:
    for _ in range(20):
        raw(served, "Content-Length: 100\r\n", b'{"sql').close()

    assert post(served, GOOD).status_code == 200


def test_a_body_that_comes_too_slowly_is_refused(served_with) -> None:
    served = served_with(request_timeout_s=0.3)

    with raw(served, "Content-Length: 18\r\n", b'{"sql"') as connection:
        started = time.monotonic()
        assert status_of(connection) == 408
        assert time.monotonic() - started < DEADLINE_S
