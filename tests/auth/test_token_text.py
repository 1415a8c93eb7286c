"""The text of a token: one spelling, and JSON that means one thing, whatever the library behind it would take."""

from __future__ import annotations

import base64

import pytest

from kalamdb.auth.token_text import REFUSED_HEADERS, TOKEN_CHARACTERS_MAX, take_apart
from kalamdb.errors import InvalidToken
from tests.auth.forging import hs256, part

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
GOOD = hs256({"alg": "HS256", "kid": "k"}, {"sub": "alice", "x": [1.5, {"y": None}]}, b"secret")


def test_its_parts_are_what_it_says():
    token = take_apart(GOOD)

    assert (token.algorithm, token.kid, token.claims) == (
        "HS256",
        "k",
        {"sub": "alice", "x": [1.5, {"y": None}]},
    )
    assert GOOD not in repr(token)
    assert "alice" not in repr(token)


@pytest.mark.parametrize("name", ["crit", "jku", "jwk", "x5u", "x5c", "b64", "cty", "enc", "zip"])
def test_a_header_that_brings_more_than_a_name_is_refused_before_any_library_sees_it(name):
    assert name in REFUSED_HEADERS
    with pytest.raises(InvalidToken, match=f"the header {name},"):
        take_apart(hs256({"alg": "HS256", name: ["exp"]}, {"sub": "alice"}, b"secret"))


def test_what_is_longer_than_any_token_is_not_taken_apart():
    long = hs256({"alg": "HS256"}, {"sub": "a" * TOKEN_CHARACTERS_MAX}, b"secret")
    with pytest.raises(InvalidToken, match="up to 8192 characters"):
        take_apart(long)


@pytest.mark.parametrize("text", [GOOD + ".x", GOOD + ".", "x." + GOOD, GOOD.rpartition(".")[0]])
def test_a_token_has_three_parts(text):
    with pytest.raises(InvalidToken, match="three parts"):
        take_apart(text)


def test_each_part_has_one_spelling():
    # A last character has two or four bits to spare in base64, and every value of them decodes to the same bytes.
    spelled_otherwise = 0
    for number, one in enumerate(GOOD.split(".")):
        decoded = base64.urlsafe_b64decode(one + "=" * (-len(one) % 4))
        for character in ALPHABET:
            other = one[:-1] + character
            if other == one or base64.urlsafe_b64decode(other + "=" * (-len(other) % 4)) != decoded:
                continue
            parts = GOOD.split(".")
            parts[number] = other
            spelled_otherwise += 1
            with pytest.raises(InvalidToken, match="damaged"):
                take_apart(".".join(parts))

    assert spelled_otherwise >= 3


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("place", ["x", "alg"])
def test_numbers_that_json_has_not_are_refused(word, place):
    with pytest.raises(InvalidToken, match="damaged"):
        take_apart(part(f'{{"alg":"HS256","{place}":{word}}}') + "." + part({}) + ".AA")
    with pytest.raises(InvalidToken, match="damaged"):
        take_apart(part({"alg": "HS256"}) + "." + part(f'{{"x":[{word}]}}') + ".AA")


@pytest.mark.parametrize(
    "text", ['{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '{"b":{"a":1,"a":2}}', '{"b":[{"a":1,"a":2}]}']
)
def test_a_name_is_there_once_at_every_depth(text):
    with pytest.raises(InvalidToken, match="damaged"):
        take_apart(f"{part({'alg': 'HS256'})}.{part(text)}.AA")
