"""Passwords: which there can be, and that each comparison costs one computation."""

from __future__ import annotations

import pickle

import pytest

from kalamdb.auth.passwords import COMMONEST, HashCost, Passwords, check_password
from kalamdb.errors import InvalidValue

CHEAP = HashCost(memory_kib=8, passes=1, lanes=1)
CANARY = "canary-4f1d-correct"


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(CHEAP)


def test_the_cost_is_what_the_library_recommends():
    import argon2

    made = Passwords().hash("correct horse")

    assert made.startswith("$argon2id$")
    assert not argon2.PasswordHasher().check_needs_rehash(made)
    assert Passwords().is_right("correct horse", made)
    assert Passwords().needs_rehash(Passwords(CHEAP).hash("correct horse"))
    assert not Passwords(CHEAP).needs_rehash(Passwords(CHEAP).hash("correct horse"))


@pytest.mark.parametrize(
    "password",
    [
        "correct horse",
        "x" * 73,
        "y" * 1024,
        "ж" * 1024,
        "\U0001f600" * 1024,
        "with\0a NUL",
        "\0" * 8,
        " leading and trailing ",
        "line\nbreaks\r\n",
        "$argon2id$v=19$",
    ],
)
def test_every_character_counts(passwords, password):
    made = passwords.hash(password)

    assert passwords.is_right(password, made)
    for wrong in (
        password[:-1],
        password + "z",
        password[:-1] + "z",
        "z" + password[1:],
        password.split("\0")[0],
    ):
        assert wrong == password or not passwords.is_right(wrong, made)


@pytest.mark.parametrize("length", [55, 56, 64, 71, 72, 73, 128, 255, 256, 1023, 1024])
def test_nothing_is_cut_at_any_length(passwords, length):
    password = "p" * length

    made = passwords.hash(password)

    assert passwords.is_right(password, made)
    assert not passwords.is_right("p" * (length - 1), made)
    assert not passwords.is_right("p" * (length - 1) + "q", made)


@pytest.mark.parametrize(
    "password",
    ["", "short", "1234567", "x" * 1025, "x" * 100_000, "lone \ud800 surrogate", *sorted(COMMONEST)[:10]],
)
def test_what_cannot_be_a_password_is_refused_without_being_shown(passwords, password):
    with pytest.raises(InvalidValue) as caught:
        passwords.hash(password)

    assert not password or password not in str(caught.value)


def test_the_commonest_are_refused_in_any_case():
    for password in COMMONEST:
        assert len(password) >= 8, password
        with pytest.raises(InvalidValue, match="commonest"):
            check_password(password.upper())


def test_two_hashes_of_one_password_differ(passwords):
    assert passwords.hash("correct horse") != passwords.hash("correct horse")


@pytest.mark.parametrize(
    "password", ["right-password", "wrong-password", "", "x" * 100_000, "\ud800", "a\0b"]
)
@pytest.mark.parametrize("kept", ["a hash", None, "no hash", ""])
def test_a_comparison_costs_one_computation_whatever_there_is(passwords, computations, password, kept):
    kept = passwords.hash("right-password") if kept == "a hash" else kept
    computations.calls = 0

    right = passwords.is_right(password, kept)

    assert right == (password == "right-password" and kept not in (None, "no hash", ""))
    assert computations.calls == 1


def test_no_password_is_that_of_nobody(passwords):
    _, dummy = passwords._hasher()

    assert dummy != Passwords(CHEAP)._hasher()[1]
    assert not any(passwords.is_right(password, None) for password in ("", "\0", dummy, *COMMONEST))


def test_the_stand_in_costs_what_a_hash_does():
    passwords = Passwords()
    hasher, dummy = passwords._hasher()

    assert not hasher.check_needs_rehash(dummy)
    assert len(dummy) == len(passwords.hash("correct horse"))


def test_nothing_shows_a_password(passwords):
    made = passwords.hash(CANARY)

    assert CANARY not in made + repr(passwords) + str(vars(passwords))
    with pytest.raises(InvalidValue) as caught:
        passwords.hash(CANARY * 100)
    assert CANARY not in str(caught.value) + repr(caught.value)
    assert CANARY.encode() not in pickle.dumps(caught.value.args)
