"""Access tokens: who is let in by one, and every published way to be let in without.

Each attack begins from a token that is taken, and changes one thing; the same forging with nothing changed is taken,
so that a refusal is of the change.
"""

from __future__ import annotations

import datetime
import json
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from kalamdb.auth.identity import Identity, UserState
from kalamdb.auth.issuers import Issuer, OneKey, own_issuer
from kalamdb.auth.keys import VerifyingKey, private_key, secret_key
from kalamdb.auth.permissions import Role
from kalamdb.auth.refresh import RefreshTokens
from kalamdb.auth.token_text import REFUSED_HEADERS, TOKEN_CHARACTERS_MAX
from kalamdb.auth.tokens import LEEWAY_S, TokenIssuer, TokenVerifier
from kalamdb.errors import Error, InvalidName, InvalidSetting, InvalidToken, TokenExpired
from tests.auth.conftest import START
from tests.auth.forging import es256, hs256, part, rs256, unsigned

SECRET = b"0123456789abcdefghijklmnopqrstuvwxyz-own"
FOREIGN_SECRET = b"zyxwvutsrqponmlkjihgfedcba9876543210-app"
HEADER = {"alg": "HS256", "typ": "JWT"}
HOUR = 3600
CANARY = "canary-4f1d"


def claims(**changes) -> dict[str, object]:
    """Those of a token that is good; None takes one out."""
    good = {
        "sub": "alice",
        "role": "user",
        "iss": "kalamdb",
        "aud": "kalamdb",
        "iat": START,
        "exp": START + HOUR,
        "jti": "0.abc",
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def foreign_claims(**changes) -> dict[str, object]:
    return claims(**{"iss": "app", "role": None, "jti": None, **changes})


@pytest.fixture
def issuer(time) -> TokenIssuer:
    return TokenIssuer(secret_key(SECRET, "it"), issuer="kalamdb", audience="kalamdb", ttl_s=HOUR, now=time)


@pytest.fixture
def verifier(time, users) -> TokenVerifier:
    """Takes its own tokens, and those of `app`, which share a secret."""
    app = Issuer("app", frozenset({"HS256"}), OneKey(secret_key(FOREIGN_SECRET, "it").verifying))
    return TokenVerifier(
        [own_issuer("kalamdb", secret_key(SECRET, "it")), app],
        audience="kalamdb",
        user_of=users.user,
        now=time,
    )


@pytest.fixture
def rsa_verifier(time, users, rsa_pem) -> TokenVerifier:
    return TokenVerifier(
        [own_issuer("kalamdb", private_key(rsa_pem, "it"))],
        audience="kalamdb",
        user_of=users.user,
        now=time,
    )


def refused(verifier: TokenVerifier, token: object, error: type[Error] = InvalidToken) -> str:
    """The message of the refusal."""
    with pytest.raises((InvalidToken, TokenExpired)) as caught:
        verifier.verify(token)
    assert type(caught.value) is error, token if len(str(token)) < 300 else len(str(token))
    return caught.value.message


# What is taken


def test_a_token_speaks_for_its_user_until_its_end(issuer, verifier, users, time):
    token = issuer.issue(users.states["bob"])

    identity = verifier.verify(token.text)

    assert (identity.user, identity.role, identity.issuer) == ("bob", Role.SERVICE, "kalamdb")
    assert identity.expires_at == START + HOUR == token.expires_at.timestamp()
    assert not identity.foreign
    time.go(HOUR - 1)
    assert verifier.verify(token.text) == identity
    time.go(1)
    refused(verifier, token.text, TokenExpired)


def test_a_token_holds_the_claims_that_it_is_said_to(issuer, users):
    import jwt

    text = issuer.issue(users.states["bob"]).text
    found = jwt.decode(
        text, SECRET, ["HS256"], audience="kalamdb", options={"verify_exp": False, "verify_iat": False}
    )

    assert list(found) == ["sub", "role", "iss", "aud", "iat", "exp", "jti"]
    assert jwt.get_unverified_header(text) == {"alg": "HS256", "typ": "JWT"}


def test_no_two_tokens_are_the_same(issuer, users):
    assert len({issuer.issue(users.states["alice"]).text for _ in range(100)}) == 100


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_tokens_are_signed_by_a_key_file_too(kind, request, time, users):
    key = private_key(request.getfixturevalue(f"{kind}_pem"), "it")
    made = TokenIssuer(key, issuer="k", audience="k", ttl_s=HOUR, now=time).issue(users.states["alice"])
    verifier = TokenVerifier([own_issuer("k", key)], audience="k", user_of=users.user, now=time)

    assert verifier.verify(made.text).user == "alice"


def test_the_forging_of_these_tests_is_taken_where_nothing_is_forged(
    verifier, rsa_verifier, rsa_key, time, users, ec_key, ec_pem
):
    assert verifier.verify(hs256(HEADER, claims(), SECRET)).user == "alice"
    assert verifier.verify(hs256({"alg": "HS256"}, claims(), SECRET)).user == "alice"
    assert verifier.verify(hs256({**HEADER, "kid": "any"}, claims(), SECRET)).user == "alice"
    assert verifier.verify(hs256({**HEADER, "typ": "at+jwt"}, claims(), SECRET)).user == "alice"
    assert verifier.verify(hs256(HEADER, claims(aud=["x", "kalamdb"]), SECRET)).user == "alice"
    assert verifier.verify(hs256(HEADER, claims(nbf=START, extra={"a": [1]}), SECRET)).user == "alice"
    assert verifier.verify(hs256(HEADER, claims(exp=START + 0.5), SECRET)).user == "alice"
    assert verifier.verify(hs256(HEADER, foreign_claims(), FOREIGN_SECRET)).foreign
    assert rsa_verifier.verify(rs256({"alg": "RS256"}, claims(), rsa_key)).user == "alice"
    ec = TokenVerifier(
        [own_issuer("kalamdb", private_key(ec_pem, "it"))], audience="kalamdb", user_of=users.user, now=time
    )
    assert ec.verify(es256({"alg": "ES256"}, claims(), ec_key)).user == "alice"


# Algorithms

NONES = [
    "".join(letter.upper() if mask >> at & 1 else letter for at, letter in enumerate("none"))
    for mask in range(16)
]


@pytest.mark.parametrize(
    "algorithm", [*NONES, "", " none", "none ", "none\0", "nonE\n", "null", None, 0, [], {}, ["none"]]
)
@pytest.mark.parametrize("signature", ["", "AA", "signed"])
def test_a_token_that_is_not_signed_is_refused(verifier, rsa_verifier, algorithm, signature):
    header = {"alg": algorithm, "typ": "JWT"}
    token = (
        hs256(header, claims(), SECRET) if signature == "signed" else unsigned(header, claims(), signature)
    )

    refused(verifier, token)
    refused(rsa_verifier, token)


@pytest.mark.parametrize(
    "algorithm",
    [
        "HS384",
        "HS512",
        "RS256",
        "RS384",
        "RS512",
        "ES256",
        "ES384",
        "PS256",
        "EdDSA",
        "hs256",
        "Hs256",
        "HS256 ",
        "HS1",
        "A128KW",
        "dir",
        "RSA1_5",
    ],
)
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_a_token_does_not_choose_its_algorithm(verifier, algorithm, digest):
    refused(verifier, hs256({**HEADER, "alg": algorithm}, claims(), SECRET, digest))


def test_a_token_without_an_algorithm_is_refused(verifier):
    refused(verifier, hs256({"typ": "JWT"}, claims(), SECRET))
    refused(verifier, hs256({}, claims(), SECRET))


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512", "RS256", "ES256"])
@pytest.mark.parametrize("form", ["pem", "pem without its end", "der", "base64", "numbers", "one line"])
def test_a_public_key_is_no_secret(rsa_verifier, rsa_key, rsa_public_pem, algorithm, form):
    from cryptography.hazmat.primitives import serialization

    public = rsa_key.public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    secret = {
        "pem": rsa_public_pem,
        "pem without its end": rsa_public_pem.rstrip(),
        "der": der,
        "base64": b"".join(rsa_public_pem.splitlines()[1:-1]),
        "numbers": str(public.public_numbers().n).encode(),
        "one line": rsa_public_pem.replace(b"\n", b""),
    }[form]

    refused(rsa_verifier, hs256({**HEADER, "alg": algorithm}, claims(), secret))


def test_a_key_for_another_algorithm_is_not_used_even_where_the_list_allows_it(
    time, users, rsa_public_pem, rsa_key
):
    # A list of algorithms that is too long does not make a secret of a public key.
    both = Issuer(
        "kalamdb", frozenset({"HS256", "RS256"}), OneKey(VerifyingKey("RS256", rsa_key.public_key()))
    )
    verifier = TokenVerifier([both], audience="kalamdb", user_of=users.user, now=time)

    refused(verifier, hs256(HEADER, claims(iss="kalamdb"), rsa_public_pem))
    refused(verifier, hs256(HEADER, claims(), b""))


def test_a_key_that_the_list_does_not_allow_is_not_used_even_where_the_issuer_has_it(
    time, users, rsa_key, ec_key
):
    # A JWKS may have keys of more algorithms than the setting trusts.
    class Both:
        def find(self, kid: str | None, algorithm: str) -> VerifyingKey | None:
            key = {"RS256": rsa_key, "ES256": ec_key}.get(algorithm)
            return None if key is None else VerifyingKey(algorithm, key.public_key())

    app = Issuer("app", frozenset({"RS256"}), Both())
    verifier = TokenVerifier([app], audience="kalamdb", user_of=users.user, now=time)

    assert verifier.verify(rs256({**HEADER, "alg": "RS256"}, foreign_claims(), rsa_key)).user == "alice"
    refused(verifier, es256({**HEADER, "alg": "ES256"}, foreign_claims(), ec_key))


@pytest.mark.parametrize(
    "signature",
    [
        "AA",
        part(b"\0" * 64),
        part(b"\0" * 256),
        part(b"\xff" * 64),
        part(b"\x30\x06\x02\x01\x00\x02\x01\x00"),
    ],
)
def test_signatures_of_nothing_are_refused(verifier, rsa_verifier, time, users, ec_pem, signature):
    # CVE-2022-21449: an ECDSA signature of zeros.
    ec = TokenVerifier(
        [own_issuer("kalamdb", private_key(ec_pem, "it"))], audience="kalamdb", user_of=users.user, now=time
    )
    for taken, algorithm in ((verifier, "HS256"), (rsa_verifier, "RS256"), (ec, "ES256")):
        refused(taken, unsigned({"alg": algorithm}, claims(), signature))


@pytest.mark.parametrize(
    "secret", [b"", b"\0", b"secret", b"kalamdb", SECRET[:-1], SECRET + b"\n", SECRET.upper(), FOREIGN_SECRET]
)
def test_another_secret_is_refused(verifier, secret):
    refused(verifier, hs256(HEADER, claims(), secret))


def test_an_issuer_s_secret_is_good_for_its_own_tokens_alone(verifier):
    refused(verifier, hs256(HEADER, claims(), FOREIGN_SECRET))
    refused(verifier, hs256(HEADER, foreign_claims(), SECRET))


# Headers


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "/dev/null",
        "file:///dev/null",
        "' UNION SELECT 'secret' --",
        "1; DROP TABLE keys",
        "| whoami",
        "http://attacker.example/key",
        "\0",
        "",
        "x" * 256,
        "jwt.secret",
        "master.key",
        "é",
    ],
)
@pytest.mark.parametrize("secret", [b"", b"\0", b"secret", b"AA=="])
def test_a_kid_is_a_name_and_leads_nowhere(verifier, kid, secret):
    refused(verifier, hs256({**HEADER, "kid": kid}, claims(), secret))


@pytest.mark.parametrize("kid", ["x" * 257, 1, True, ["a"], {"a": "b"}, 1.5])
def test_a_kid_that_is_no_name_is_refused_whoever_signed(verifier, kid):
    refused(verifier, hs256({**HEADER, "kid": kid}, claims(), SECRET))


@pytest.mark.parametrize("name", REFUSED_HEADERS)
@pytest.mark.parametrize(
    "value",
    [
        "https://attacker.example/jwks.json",
        {"kty": "oct", "k": part(b"attacker")},
        ["exp"],
        [],
        False,
        None,
        "DEF",
    ],
)
def test_headers_that_bring_keys_or_extensions_are_refused_whoever_signed(verifier, name, value):
    refused(verifier, hs256({**HEADER, name: value}, claims(), SECRET))


def test_an_embedded_key_is_not_believed(verifier, rsa_verifier, rsa_key):
    from cryptography.hazmat.primitives.asymmetric import rsa
    from jwt.algorithms import RSAAlgorithm

    attacker = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = RSAAlgorithm.to_jwk(attacker.public_key(), as_dict=True)

    refused(rsa_verifier, rs256({"alg": "RS256", "jwk": jwk}, claims(), attacker))
    refused(rsa_verifier, rs256({"alg": "RS256"}, claims(), attacker))
    refused(verifier, rs256({"alg": "RS256", "jwk": jwk}, claims(), attacker))


@pytest.mark.parametrize(
    "type_", ["refresh", "JWE", "JOSE+JSON", "dpop+jwt", "id_token", "", 1, None, [], "JWT "]
)
def test_a_token_of_another_type_is_refused_whoever_signed(verifier, type_):
    refused(verifier, hs256({**HEADER, "typ": type_}, claims(), SECRET))


# Claims


@pytest.mark.parametrize(
    "issuer",
    [
        "",
        "KALAMDB",
        "kalamdb ",
        " kalamdb",
        "kalamdb/",
        "kalamdb\0",
        "attacker",
        "*",
        None,
        0,
        True,
        [],
        ["kalamdb"],
        {},
        {"kalamdb": 1},
    ],
)
def test_another_issuer_is_refused_whoever_signed(verifier, issuer):
    refused(verifier, hs256(HEADER, {**claims(iss=None), "iss": issuer}, SECRET))
    refused(verifier, hs256(HEADER, {**claims(iss=None), "iss": issuer}, FOREIGN_SECRET))


def test_a_token_without_an_issuer_is_refused(verifier):
    refused(verifier, hs256(HEADER, claims(iss=None), SECRET))


def test_empty_issuer_list_accepts_all(time, users):
    # It accepts nobody.
    nobody = TokenVerifier([], audience="kalamdb", user_of=users.user, now=time)

    for issuer in ("kalamdb", "app", "", "anybody"):
        for secret in (SECRET, FOREIGN_SECRET, b""):
            refused(nobody, hs256(HEADER, claims(iss=issuer), secret))
    assert users.asked == 0


@pytest.mark.parametrize(
    "audience",
    [
        "",
        "other",
        "KALAMDB",
        "kalamdb ",
        "kalam",
        "kalamdb,other",
        None,
        0,
        True,
        [],
        ["other"],
        [["kalamdb"]],
        {"kalamdb": 1},
        [None],
    ],
)
def test_another_audience_is_refused_whoever_signed(verifier, audience):
    refused(verifier, hs256(HEADER, {**claims(aud=None), "aud": audience}, SECRET))


@pytest.mark.parametrize("name", ["sub", "role", "aud", "iat", "exp", "iss"])
def test_a_token_lacks_no_claim(verifier, name):
    refused(verifier, hs256(HEADER, claims(**{name: None}), SECRET))


def test_an_own_token_without_its_id_is_not_good_any_more(verifier):
    refused(verifier, hs256(HEADER, claims(jti=None), SECRET), TokenExpired)
    refused(verifier, hs256(HEADER, claims(jti="1.abc"), SECRET), TokenExpired)
    refused(verifier, hs256(HEADER, claims(jti=7), SECRET))


WRONG_TIMES = ["1796000000", True, False, [], {}, -1, -0.5, 1e300, 10**30, "NaN", "", [START]]


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", WRONG_TIMES)
def test_a_time_is_a_number_of_seconds(verifier, name, value):
    refused(verifier, hs256(HEADER, claims(**{name: value}), SECRET))


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000])
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_numbers_that_are_none_are_refused(verifier, name, word):
    text = json.dumps(claims(**{name: "@"})).replace('"@"', word)

    refused(verifier, hs256(HEADER, text, SECRET))


@pytest.mark.parametrize("late", [0, 0.001, 1, LEEWAY_S, 60, HOUR, 86_400 * 365])
def test_an_own_token_ends_at_its_end(verifier, time, late):
    time.go(HOUR + late)

    refused(verifier, hs256(HEADER, claims(), SECRET), TokenExpired)


def test_a_foreign_clock_may_differ_by_ten_seconds(verifier, time):
    token = hs256(HEADER, foreign_claims(), FOREIGN_SECRET)

    time.go(HOUR + LEEWAY_S - 0.01)
    assert verifier.verify(token).user == "alice"
    time.go(0.01)
    refused(verifier, token, TokenExpired)


@pytest.mark.parametrize("ahead", [LEEWAY_S + 0.001, 11, 60, HOUR, 86_400 * 365, 10**11])
def test_what_begins_in_the_future_is_refused(verifier, ahead):
    refused(verifier, hs256(HEADER, claims(nbf=START + ahead), SECRET))
    refused(verifier, hs256(HEADER, claims(iat=START + ahead, exp=START + ahead + HOUR), SECRET))
    refused(verifier, hs256(HEADER, foreign_claims(nbf=START + ahead), FOREIGN_SECRET))


@pytest.mark.parametrize("exp", [0, START - HOUR, START - 1, START])
def test_what_ends_before_it_begins_is_refused(verifier, exp):
    refused(verifier, hs256(HEADER, claims(exp=exp), SECRET))


def test_a_token_that_is_forged_is_never_said_to_be_expired(verifier, time):
    # The answer would tell that everything else was right.
    time.go(2 * HOUR)

    refused(verifier, hs256(HEADER, claims(), b"attacker"))
    refused(verifier, unsigned({"alg": "none"}, claims()))


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "nobody",
        "ALICE",
        "alice ",
        "alice\0",
        "a" * 129,
        1,
        True,
        [],
        ["alice"],
        {"name": "alice"},
        "\ud800",
        "ali\u200bce",
    ],
)
@pytest.mark.parametrize("foreign", [False, True])
def test_a_subject_is_the_name_of_a_user_who_is_there(verifier, subject, foreign):
    if foreign:
        refused(verifier, hs256(HEADER, foreign_claims(sub=subject), FOREIGN_SECRET))
    else:
        refused(verifier, hs256(HEADER, claims(sub=subject), SECRET))


@pytest.mark.parametrize(
    "role", ["", "root", "admin", "USER", "user ", "SYSTEM", 1, True, [], ["user"], {"user": 1}]
)
@pytest.mark.parametrize("foreign", [False, True])
def test_a_role_is_one_that_there_is(verifier, role, foreign):
    made = foreign_claims(role=role) if foreign else claims(role=role)

    refused(verifier, hs256(HEADER, made, FOREIGN_SECRET if foreign else SECRET))


@pytest.mark.parametrize("role", ["service", "dba", "system"])
@pytest.mark.parametrize("foreign", [False, True])
def test_jwt_role_claim_overrides_db(verifier, users, role, foreign):
    # It does not: even a token that is signed gives no role that the user has not.
    made = foreign_claims(role=role) if foreign else claims(role=role)

    refused(verifier, hs256(HEADER, made, FOREIGN_SECRET if foreign else SECRET), TokenExpired)
    users.change("alice", role=Role(role))
    if not (foreign and role == "system"):
        assert verifier.verify(hs256(HEADER, made, FOREIGN_SECRET if foreign else SECRET)).role == role


def test_a_foreign_token_without_a_role_has_the_user_s(verifier):
    made = {name: foreign_claims(sub=name) for name in ("alice", "bob", "dora")}
    roles = [verifier.verify(hs256(HEADER, one, FOREIGN_SECRET)).role for one in made.values()]

    assert roles == ["user", "service", "dba"]


@pytest.mark.parametrize("role", [None, "system", "user"])
def test_a_foreign_token_never_speaks_for_a_user_of_role_system(verifier, role):
    refused(verifier, hs256(HEADER, foreign_claims(sub="root", role=role), FOREIGN_SECRET))


# Text

DUPLICATES = [
    ('{"alg":"HS256","typ":"JWT"}', '{"sub":"root",%s}'),
    ('{"alg":"HS256","typ":"JWT"}', '{%s,"sub":"root"}'),
    ('{"alg":"HS256","typ":"JWT"}', '{%s,"\\u0073ub":"root"}'),
    ('{"alg":"HS256","typ":"JWT"}', '{%s,"role":"user"}'),
    ('{"alg":"HS256","typ":"JWT"}', '{%s,"exp":99999999999}'),
    ('{"alg":"HS256","typ":"JWT"}', '{%s,"x":{"a":1,"a":1}}'),
    ('{"alg":"none","alg":"HS256"}', "{%s}"),
    ('{"alg":"HS256","alg":"HS256"}', "{%s}"),
    ('{"alg":"HS256","kid":"a","kid":"b"}', "{%s}"),
]


@pytest.mark.parametrize(("header", "body"), DUPLICATES)
def test_a_name_that_is_there_twice_is_refused_whoever_signed(verifier, header, body):
    refused(verifier, hs256(header, body % json.dumps(claims())[1:-1], SECRET))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "1",
        '"x"',
        "{",
        "{}",
        "{}x",
        "\ufeff{}",
        "[" * 3000,
        '{"a":' * 1000,
        "{'sub':'alice'}",
        "//",
        b"\xff\xfe",
        b"\x80",
    ],
)
@pytest.mark.parametrize("place", ["header", "claims"])
def test_parts_that_are_no_objects_are_refused_whoever_signed(verifier, body, place):
    refused(verifier, hs256(body, claims(), SECRET) if place == "header" else hs256(HEADER, body, SECRET))


@pytest.mark.parametrize("size", [TOKEN_CHARACTERS_MAX, 10_000, 100_000, 1_000_000])
def test_a_token_that_is_too_long_is_refused_before_anything_is_done(verifier, users, size):
    signed = hs256(HEADER, claims(padding="x" * size), SECRET)

    refused(verifier, signed)
    refused(verifier, "x" * (size + 1))
    refused(verifier, "." * (size + 1))
    assert users.asked == 0


@pytest.mark.parametrize(
    "token",
    [
        None,
        0,
        b"bytes",
        [],
        "",
        ".",
        "..",
        "...",
        "....",
        "a",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "Bearer x.y.z",
        "null",
        "é.é.é",
        "\0.\0.\0",
        " . . ",
        "=.=.=",
        "\ud800.a.b",
    ],
)
def test_what_is_no_token_is_refused(verifier, token):
    refused(verifier, token)


GOOD = hs256(HEADER, claims(), SECRET)


@pytest.mark.parametrize("at", range(len(GOOD)))
def test_no_bit_can_be_flipped(verifier, at):
    for bit in range(8):
        changed = GOOD[:at] + chr(ord(GOOD[at]) ^ 1 << bit) + GOOD[at + 1 :]

        refused(verifier, changed)


def test_a_token_is_whole(verifier):
    for end in range(len(GOOD)):
        refused(verifier, GOOD[:end])
        refused(verifier, GOOD[end + 1 :])
    first, second, third = GOOD.split(".")
    for parts in (
        (first, second),
        (first, second, ""),
        ("", second, third),
        (first, "", third),
        (second, first, third),
        (first, second, third, ""),
        (first, second, third, third),
        ("", first, second, third),
        (first, second + third),
    ):
        refused(verifier, ".".join(parts))


@pytest.mark.parametrize(
    "more", ["=", "==", " ", "\n", "\r\n", "\t", "\0", "A", "-", "+", "/", "%00", "é", "\u00a0"]
)
def test_a_token_has_one_spelling(verifier, more):
    assert verifier.verify(GOOD).user == "alice"
    first, second, third = GOOD.split(".")
    for changed in (
        GOOD + more,
        more + GOOD,
        f"{first}{more}.{second}.{third}",
        f"{first}.{more}{second}.{third}",
        f"{first}.{second}{more}.{third}",
        f"{first}.{second}.{third[:9]}{more}{third[9:]}",
    ):
        refused(verifier, changed)


def test_refusals_quote_nothing(verifier):
    for token in (
        CANARY,
        f"{CANARY}.{CANARY}.{CANARY}",
        unsigned({"alg": CANARY}, claims()),
        hs256({**HEADER, "kid": CANARY}, claims(iss=CANARY), SECRET),
        hs256(HEADER, claims(sub=CANARY), SECRET),
        hs256(HEADER, claims(role=CANARY), SECRET),
        hs256(HEADER, claims(aud=CANARY), SECRET),
        hs256(HEADER, claims(exp=CANARY), SECRET),
    ):
        message = refused(verifier, token)
        assert CANARY not in message
        assert token not in message


def test_unverified_claims_in_audit(verifier, users):
    # Who writes a refusal down has nothing of the token to write: neither in the error nor behind it.
    forged = hs256(HEADER, claims(sub=CANARY), b"attacker")
    with pytest.raises(InvalidToken) as caught:
        verifier.verify(forged)

    error = caught.value
    assert error.__cause__ is None
    assert CANARY not in "".join(map(repr, (error, error.args, vars(error))))
    assert users.asked == 0


# Revocation


@pytest.mark.parametrize("foreign", [False, True])
def test_a_deleted_user_s_token_is_dead_at_once(issuer, verifier, users, foreign):
    token = (
        hs256(HEADER, foreign_claims(), FOREIGN_SECRET)
        if foreign
        else issuer.issue(users.states["alice"]).text
    )
    verifier.verify(token)

    users.change("alice", deleted=True)
    verifier.bump_epoch()

    refused(verifier, token)
    del users.states["alice"]
    refused(verifier, token)


def test_no_token_revocation(issuer, verifier, users):
    # There is: another password, or a deletion, ends what was issued before, and a restoration does not bring it back.
    old = issuer.issue(users.states["alice"])
    verifier.verify(old.text)

    users.change("alice", auth_epoch=1)
    verifier.bump_epoch()

    refused(verifier, old.text, TokenExpired)
    assert verifier.verify(issuer.issue(users.states["alice"]).text).user == "alice"


def test_a_token_of_another_role_is_expired(issuer, verifier, users):
    old = issuer.issue(users.states["alice"])
    verifier.verify(old.text)

    users.change("alice", role=Role.DBA)
    verifier.bump_epoch()

    refused(verifier, old.text, TokenExpired)
    assert verifier.verify(issuer.issue(users.states["alice"]).text).role is Role.DBA


def test_an_open_connection_goes_on_with_the_new_role_and_ends_with_the_user(issuer, verifier, users, time):
    identity = verifier.verify(issuer.issue(users.states["alice"]).text)

    assert verifier.check_again(identity) == identity
    users.change("alice", role=Role.SERVICE)
    assert verifier.check_again(identity).role is Role.SERVICE
    for changes in ({"deleted": True}, {"auth_epoch": 1}):
        users.change("alice", **{"deleted": False, "auth_epoch": 0, **changes})
        with pytest.raises(TokenExpired):
            verifier.check_again(identity)
    users.change("alice", deleted=False, auth_epoch=0)
    time.go(HOUR)
    with pytest.raises(TokenExpired):
        verifier.check_again(identity)


def test_a_verified_token_is_not_verified_again_until_something_changes(issuer, verifier, users):
    token = issuer.issue(users.states["alice"]).text
    for _ in range(100):
        verifier.verify(token)

    assert users.asked == 1
    verifier.bump_epoch()
    verifier.verify(token)
    assert users.asked == 2


def test_a_change_during_a_check_is_not_lost(issuer, users, time):
    # The check has asked for the user before the change, and ends after it: what it found is not kept.
    token = issuer.issue(users.states["alice"]).text

    def user_of(name: str) -> UserState | None:
        found = users.user(name)
        if users.asked == 1:
            users.change("alice", deleted=True)
            verifier.bump_epoch()
        return found

    verifier = TokenVerifier(
        [own_issuer("kalamdb", secret_key(SECRET, "it"))], audience="kalamdb", user_of=user_of, now=time
    )

    verifier.verify(token)
    refused(verifier, token)


def test_threads_agree_on_a_deletion(issuer, verifier, users):
    tokens = [issuer.issue(users.states[name]).text for name in ("alice", "bob") for _ in range(20)]
    gone = threading.Event()

    def ask(token: str) -> str:
        after = gone.is_set()
        try:
            verifier.verify(token)
            return "taken after" if after else "taken"
        except InvalidToken:
            return "refused"

    def delete() -> None:
        for name in ("alice", "bob"):
            users.change(name, deleted=True)
        verifier.bump_epoch()
        gone.set()

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(ask, token) for _ in range(20) for token in tokens]
        pool.submit(delete).result()
        answers += [pool.submit(ask, token) for _ in range(5) for token in tokens]

        assert "taken after" not in {answer.result() for answer in answers}


# What came from one log-in


@pytest.fixture
def open_families() -> set[str]:
    return {"one", "other"}


@pytest.fixture
def of_families(time, users, open_families) -> TokenVerifier:
    """Takes tokens of these families, and those of `app`, which share a secret."""
    app = Issuer("app", frozenset({"HS256"}), OneKey(secret_key(FOREIGN_SECRET, "it").verifying))
    return TokenVerifier(
        [own_issuer("kalamdb", secret_key(SECRET, "it")), app],
        audience="kalamdb",
        user_of=users.user,
        family_is_open=open_families.__contains__,
        now=time,
    )


def test_a_token_ends_with_its_family(issuer, of_families, users, open_families):
    alice = users.states["alice"]
    first, second = issuer.issue(alice, "one").text, issuer.issue(alice, "one").text
    kept = [issuer.issue(alice, "other").text, issuer.issue(alice).text]
    identity = of_families.verify(first)
    assert identity.family == "one"
    assert [of_families.verify(text).family for text in kept] == ["other", None]

    open_families.remove("one")
    of_families.end_family("one")

    # Known or never seen, and a connection that stays open.
    assert of_families.known(first) is None
    refused(of_families, first, TokenExpired)
    refused(of_families, second, TokenExpired)
    with pytest.raises(TokenExpired):
        of_families.check_again(identity)
    # What came from other log-ins is known as before.
    for text in kept:
        found = of_families.known(text)
        assert found is not None
        assert of_families.check_again(found) == found


def test_an_end_during_a_check_is_not_lost(issuer, users, time):
    token = issuer.issue(users.states["alice"], "one").text
    asked: list[str] = []

    def is_open(family: str) -> bool:
        # Open when it was asked for, ended before the answer was kept.
        asked.append(family)
        if len(asked) == 1:
            verifier.end_family(family)
            return True
        return False

    verifier = TokenVerifier(
        [own_issuer("kalamdb", secret_key(SECRET, "it"))],
        audience="kalamdb",
        user_of=users.user,
        family_is_open=is_open,
        now=time,
    )

    verifier.verify(token)
    refused(verifier, token, TokenExpired)


@pytest.mark.parametrize("family", ["nobody's", "", "one\0", 1, True, ["one"], {"one": 1}])
def test_a_family_that_there_is_not_is_none(of_families, family):
    refused(of_families, hs256(HEADER, claims(sid=family), SECRET), TokenExpired)


def test_a_session_of_another_issuer_is_its_own_affair(of_families):
    found = of_families.verify(hs256(HEADER, foreign_claims(sid="nobody's"), FOREIGN_SECRET))

    assert (found.user, found.family) == ("alice", None)


# Refresh tokens are others


def test_a_refresh_token_is_no_access_token(verifier, world, users, time):
    tokens = RefreshTokens(world.engine, ttl=datetime.timedelta(days=30), now=time.instant)
    text = tokens.issue(users.states["alice"]).text

    for spelled in (text, f"{text}.x.y", f"{text}.{text}.{text}", text.replace("_", ".")):
        refused(verifier, spelled)


def test_an_access_token_is_no_refresh_token(issuer, world, users, time):
    tokens = RefreshTokens(world.engine, ttl=datetime.timedelta(days=30), now=time.instant)
    access = issuer.issue(users.states["alice"]).text

    for text in (access, f"kalam_refresh_{access}", "kalam_refresh_" + access[:86]):
        with pytest.raises(InvalidToken):
            tokens.rotate(text, users.user)


# Users at first sight


def test_a_foreign_user_is_made_at_first_sight_only_where_that_is_allowed(time, users, verifier):
    made: list[str] = []

    def create(name: str) -> UserState:
        if not name.isprintable():
            raise InvalidName("no")
        made.append(name)
        return users.add(name)

    issuers = [
        own_issuer("kalamdb", secret_key(SECRET, "it")),
        Issuer("app", frozenset({"HS256"}), OneKey(secret_key(FOREIGN_SECRET, "it").verifying)),
    ]
    open_to_all = TokenVerifier(issuers, audience="kalamdb", user_of=users.user, create_user=create, now=time)
    new = hs256(HEADER, foreign_claims(sub="zoe"), FOREIGN_SECRET)

    refused(verifier, new)
    refused(open_to_all, hs256(HEADER, claims(sub="zoe"), SECRET))
    refused(open_to_all, hs256(HEADER, foreign_claims(sub="zoe"), b"attacker"))
    for role in ("service", "dba", "system"):
        refused(open_to_all, hs256(HEADER, foreign_claims(sub="zoe", role=role), FOREIGN_SECRET))
    refused(open_to_all, hs256(HEADER, foreign_claims(sub="a\nb"), FOREIGN_SECRET))
    users.change("alice", deleted=True)
    refused(open_to_all, hs256(HEADER, foreign_claims(), FOREIGN_SECRET))
    assert made == []
    identity = open_to_all.verify(new)
    assert (identity.user, identity.role, made) == ("zoe", Role.USER, ["zoe"])
    open_to_all.verify(hs256(HEADER, foreign_claims(sub="zoe", role="user"), FOREIGN_SECRET))
    assert made == ["zoe"]


# Making a verifier


def test_two_issuers_of_one_name_and_other_algorithms_are_refused(users):
    key = secret_key(SECRET, "it")
    twice = [own_issuer("a", key), Issuer("a", frozenset({"HS256"}), OneKey(key.verifying))]
    for issuers in (twice, [Issuer("a", frozenset({"none"}), OneKey(key.verifying))]):
        with pytest.raises(InvalidSetting):
            TokenVerifier(issuers, audience="k", user_of=users.user)


def test_nothing_shows_a_token_or_a_secret(issuer, verifier, users):
    token = issuer.issue(users.states["alice"])
    identity = verifier.verify(token.text)

    for shown in (token, issuer, verifier, identity):
        text = repr(shown) + str(shown) + f"{shown}"
        assert token.text not in text
        assert SECRET.decode() not in text
        assert not any(one in text for one in token.text.split("."))
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(token)
    assert isinstance(pickle.loads(pickle.dumps(identity)), Identity)
