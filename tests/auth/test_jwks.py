"""The keys of a foreign issuer: which are taken, and how seldom they are asked for."""

from __future__ import annotations

import http.server
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from kalamdb.auth import jwks_fetch
from kalamdb.auth.issuers import Issuer
from kalamdb.auth.jwks import FETCH_INTERVAL_S, FRESH_S, STALE_MAX_S, JwksKeys
from kalamdb.auth.tokens import TokenVerifier
from kalamdb.errors import InvalidSetting, InvalidToken, IssuerUnavailable
from tests.auth.conftest import START
from tests.auth.forging import es256, hs256, part, rs256

URL = "https://issuer.example/jwks.json"


def rsa_jwk(key, **more) -> dict[str, object]:
    from jwt.algorithms import RSAAlgorithm

    found = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    found.pop("key_ops", None)
    return {**found, "kid": "r1", **more}


def ec_jwk(key, **more) -> dict[str, object]:
    from jwt.algorithms import ECAlgorithm

    return {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "e1", **more}


class Published:
    """What a URL gives, and how often it was asked."""

    def __init__(self, *keys: object) -> None:
        self.text: bytes | None = json.dumps({"keys": list(keys)}).encode()
        self.asked = 0

    def __call__(self, url: str) -> bytes:
        assert url == URL
        self.asked += 1
        if self.text is None:
            raise IssuerUnavailable("not now")
        return self.text

    def publish(self, *keys: object) -> None:
        self.text = json.dumps({"keys": list(keys)}).encode()


def claims(**changes) -> dict[str, object]:
    return {"sub": "alice", "iss": "idp", "aud": "kalamdb", "iat": START, "exp": START + 600, **changes}


@pytest.fixture
def published(rsa_key, ec_key) -> Published:
    return Published(rsa_jwk(rsa_key), ec_jwk(ec_key))


@pytest.fixture
def keys(published, time) -> JwksKeys:
    return JwksKeys(URL, fetch=published, now=time)


@pytest.fixture
def verifier(keys, users, time) -> TokenVerifier:
    issuer = Issuer("idp", frozenset({"RS256", "ES256"}), keys)
    return TokenVerifier([issuer], audience="kalamdb", user_of=users.user, now=time)


def test_tokens_of_published_keys_are_taken(verifier, rsa_key, ec_key, published):
    for token in (
        rs256({"alg": "RS256", "kid": "r1"}, claims(), rsa_key),
        rs256({"alg": "RS256"}, claims(), rsa_key),
        rs256({"alg": "RS256", "x5t": "a thumbprint"}, claims(), rsa_key),
        es256({"alg": "ES256", "kid": "e1"}, claims(), ec_key),
    ):
        identity = verifier.verify(token)
        assert (identity.user, identity.issuer, identity.foreign) == ("alice", "idp", True)
    assert published.asked == 1


def test_a_key_is_good_for_its_algorithm_and_name_alone(verifier, rsa_key, ec_key, rsa_public_pem):
    for token in (
        rs256({"alg": "RS256", "kid": "e1"}, claims(), rsa_key),
        es256({"alg": "ES256", "kid": "r1"}, claims(), ec_key),
        rs256({"alg": "ES256", "kid": "e1"}, claims(), rsa_key),
        hs256({"alg": "HS256", "kid": "r1"}, claims(), rsa_public_pem),
        hs256({"alg": "RS256", "kid": "r1"}, claims(), rsa_public_pem),
        hs256({"alg": "HS256"}, claims(), b""),
    ):
        with pytest.raises(InvalidToken):
            verifier.verify(token)


def test_an_issuer_has_its_own_list_of_algorithms(keys, users, time, ec_key):
    issuer = Issuer("idp", frozenset({"RS256"}), keys)
    verifier = TokenVerifier([issuer], audience="kalamdb", user_of=users.user, now=time)

    with pytest.raises(InvalidToken, match="as its issuer signs"):
        verifier.verify(es256({"alg": "ES256", "kid": "e1"}, claims(), ec_key))


@pytest.mark.parametrize(
    "changes",
    [
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"alg": "HS256"},
        {"alg": "none"},
        {"alg": "RS512"},
        {"alg": "ES256"},
        {"kty": "oct", "k": part(b"x" * 32)},
        {"kty": "OKP"},
        {"kty": "EC"},
        {"kty": None},
        {"kty": ["RSA"]},
        {"n": "AQAB"},
        {"n": ""},
        {"n": 5},
        {"e": None},
        {"d": "AQAB"},
        {"kid": 5},
    ],
)
def test_other_keys_of_a_jwks_are_passed_over(published, keys, rsa_key, changes):
    published.publish(rsa_jwk(rsa_key, **changes), "no key", None, 5, [])

    assert keys.find("r1", "RS256") is None
    assert keys.find("r1", "HS256") is None


def test_a_short_rsa_key_is_passed_over(published, keys):
    from cryptography.hazmat.primitives.asymmetric import rsa

    published.publish(rsa_jwk(rsa.generate_private_key(public_exponent=65537, key_size=1024)))

    assert keys.find("r1", "RS256") is None


def test_a_private_key_that_somebody_published_is_passed_over(published, keys, rsa_key, ec_key):
    from jwt.algorithms import ECAlgorithm, RSAAlgorithm

    published.publish(
        {**RSAAlgorithm.to_jwk(rsa_key, as_dict=True), "key_ops": ["verify"], "kid": "r1"},
        {**ECAlgorithm.to_jwk(ec_key, as_dict=True), "kid": "e1"},
    )

    assert keys.find("r1", "RS256") is None
    assert keys.find("e1", "ES256") is None


def test_without_a_name_there_must_be_one_key_to_choose(published, keys, rsa_key):
    published.publish(rsa_jwk(rsa_key), rsa_jwk(rsa_key, kid="r2"))

    assert keys.find(None, "RS256") is None
    assert keys.find("r2", "RS256") is not None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"keys": 5}',
        b'{"keys": {}}',
        b"\xff",
        b"[" * 100_000,
        json.dumps({"keys": [{}] * 101}).encode(),
    ],
)
def test_what_is_no_jwks_gives_no_key(published, keys, text):
    published.text = text

    with pytest.raises(IssuerUnavailable):
        keys.find("r1", "RS256")


def test_a_new_key_is_found_when_a_token_names_it(published, keys, rsa_key, ec_key, time):
    assert keys.find("r2", "RS256") is None
    published.publish(rsa_jwk(rsa_key, kid="r2"))
    assert keys.find("r2", "RS256") is None
    time.go(FETCH_INTERVAL_S)

    assert keys.find("r2", "RS256") is not None
    assert keys.find("r1", "RS256") is None
    assert published.asked == 2


def test_names_that_anybody_makes_up_do_not_make_us_ask_all_the_time(published, keys, time):
    for number in range(1000):
        assert keys.find(f"made up {number}", "RS256") is None
        time.go(0.1)

    assert published.asked <= 1 + 100 / FETCH_INTERVAL_S


def test_a_url_that_does_not_answer_is_not_asked_all_the_time(published, keys, time):
    published.text = None
    for _ in range(100):
        with pytest.raises(IssuerUnavailable):
            keys.find("r1", "RS256")
        time.go(1)

    assert published.asked == pytest.approx(100 / FETCH_INTERVAL_S, abs=1)


def test_keys_are_asked_for_again_and_older_ones_taken_while_the_url_does_not_answer(published, keys, time):
    assert keys.find("r1", "RS256") is not None
    time.go(FRESH_S)
    keys.find("r1", "RS256")
    assert published.asked == 2

    published.text = None
    time.go(STALE_MAX_S - 1)
    assert keys.find("r1", "RS256") is not None
    time.go(1)
    with pytest.raises(IssuerUnavailable):
        keys.find("r1", "RS256")


def test_a_key_that_was_withdrawn_takes_its_verified_tokens_along(verifier, published, rsa_key, ec_key, time):
    token = rs256({"alg": "RS256", "kid": "r1"}, claims(exp=START + 2 * FRESH_S), rsa_key)
    assert verifier.verify(token).user == "alice"

    published.publish(ec_jwk(ec_key))
    time.go(FRESH_S)
    assert verifier.verify(es256({"alg": "ES256"}, claims(exp=START + 2 * FRESH_S), ec_key)).user == "alice"

    with pytest.raises(InvalidToken):
        verifier.verify(token)


def test_many_threads_ask_once(published, time):
    keys = JwksKeys(URL, fetch=published, now=time)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: keys.find("r1", "RS256"), range(200)))

    assert all(found)
    assert published.asked == 1


# Over the network


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example/keys",
        "ftp://issuer.example/keys",
        "file:///etc/passwd",
        "https://",
        "https://user:secret@issuer.example/keys",
        "http://127.0.0.1.example/keys",
        "http://localhost.example/keys",
        "http://10.0.0.1/keys",
        "issuer.example",
        "",
    ],
)
def test_only_https_is_asked_and_this_machine(url):
    with pytest.raises(InvalidSetting):
        JwksKeys(url)


@pytest.mark.parametrize(
    "url", [URL, "http://127.0.0.1:80/keys", "http://localhost/keys", "http://[::1]/keys"]
)
def test_https_and_this_machine_are_asked(url):
    JwksKeys(url)


@pytest.fixture
def server():
    """On loopback; `answers` by path."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, headers, body = made.answers.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.answers = {}
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def test_keys_come_over_http_from_this_machine(server, rsa_key):
    server.answers["/keys"] = (200, {}, json.dumps({"keys": [rsa_jwk(rsa_key)]}).encode())

    keys = JwksKeys(f"http://127.0.0.1:{server.server_port}/keys")

    assert keys.find("r1", "RS256") is not None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 404, 500])
def test_redirections_and_errors_are_not_followed(server, status, rsa_key):
    elsewhere = f"http://127.0.0.1:{server.server_port}/elsewhere"
    server.answers["/keys"] = (status, {"Location": elsewhere}, b"")
    server.answers["/elsewhere"] = (200, {}, json.dumps({"keys": [rsa_jwk(rsa_key)]}).encode())

    with pytest.raises(IssuerUnavailable) as caught:
        jwks_fetch.fetch(f"http://127.0.0.1:{server.server_port}/keys")
    assert "127.0.0.1" not in str(caught.value)


def test_an_answer_without_end_is_not_read(server):
    server.answers["/keys"] = (200, {}, b"x" * (jwks_fetch.BYTES_MAX + 1))

    with pytest.raises(IssuerUnavailable, match="too large"):
        jwks_fetch.fetch(f"http://127.0.0.1:{server.server_port}/keys")


def test_nobody_at_the_url(server):
    server.shutdown()
    server.server_close()

    with pytest.raises(IssuerUnavailable):
        jwks_fetch.fetch(f"http://127.0.0.1:{server.server_port}/keys")
