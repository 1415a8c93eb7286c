"""What the tests of authentication share: clocks that stand still, users, keys, and an engine in memory."""

from __future__ import annotations

import contextlib
import datetime
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from kalamcore.system import Clock, FileSystem
from kalamdb.auth.identity import UserState
from kalamdb.auth.permissions import Role
from kalamdb.auth.reserved import REFRESH_TOKENS
from kalamdb.engine import Engine
from kalamdb.errors import Error

START = 1_796_000_000


class Time:
    """A clock that goes when it is told to. Called, it gives seconds."""

    def __init__(self) -> None:
        self.seconds = float(START)

    def __call__(self) -> float:
        return self.seconds

    def go(self, seconds: float) -> None:
        self.seconds += seconds

    def instant(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self.seconds, datetime.UTC)


class Users:
    """The users of a database, as log-ins and tokens see them; remembers what they were told."""

    def __init__(self) -> None:
        self.states: dict[str, UserState] = {}
        self.hashes: dict[str, str] = {}
        self.failures: list[tuple[str, int, datetime.datetime | None]] = []
        self.successes: list[str] = []
        self.asked = 0
        self.add("alice")
        self.add("bob", Role.SERVICE)
        self.add("dora", Role.DBA)
        self.add("root", Role.SYSTEM)

    def add(self, name: str, role: Role = Role.USER, password_hash: str | None = None) -> UserState:
        self.states[name] = UserState(name, role)
        if password_hash is not None:
            self.hashes[name] = password_hash
        return self.states[name]

    def change(self, name: str, **changes: object) -> None:
        self.states[name] = replace(self.states[name], **changes)

    def user(self, name: str) -> UserState | None:
        self.asked += 1
        return self.states.get(name)

    def password_hash(self, name: str) -> str | None:
        return self.hashes.get(name)

    def failed(self, name: str, failed_logins: int, locked_until: datetime.datetime | None) -> None:
        self.failures.append((name, failed_logins, locked_until))
        self.change(name, locked_until=locked_until)

    def succeeded(self, name: str, old_hash: str | None, new_hash: str | None) -> None:
        self.successes.append(name)
        self.change(name, locked_until=None)
        if new_hash is not None and self.hashes.get(name) == old_hash:
            self.hashes[name] = new_hash


class World:
    """A database's lower half with the table of refresh tokens."""

    def __init__(self, time: Time) -> None:
        self.files = FileSystem.memory()
        self.clock = Clock.manual(int(time() * 1_000_000))
        self.open()

    def open(self) -> None:
        self.engine = Engine(
            self.files,
            "/kalamdb",
            wal_file_bytes=1 << 20,
            stream_bytes_max=1 << 20,
            sync_interval_ms=100,
            worker_id=0,
            clock=self.clock,
        )
        self.engine.define(REFRESH_TOKENS, [REFRESH_TOKENS])

    def lose_power(self) -> None:
        """All that was synced is there, and a new life begins."""
        self.files = self.files.crash()
        self.open()


class Counted:
    """Stands in the place of a function: counts its calls, and how many there are at a time."""

    def __init__(self, function) -> None:
        self.function = function
        self.calls = self.running = self.most = 0
        self.lock = threading.Lock()

    def __call__(self, *arguments, **named):
        with self.lock:
            self.calls += 1
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            return self.function(*arguments, **named)
        finally:
            with self.lock:
                self.running -= 1


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def users() -> Users:
    return Users()


@pytest.fixture
def world(time: Time) -> Iterator[World]:
    made = World(time)
    yield made
    with contextlib.suppress(Error):
        made.engine.close()


@pytest.fixture
def computations(monkeypatch) -> Counted:
    """Counts what argon2 computes, for new hashes and for comparisons."""
    import argon2.low_level

    hash_secret = argon2.low_level.hash_secret
    counted = Counted(argon2.low_level.verify_secret)
    monkeypatch.setattr("argon2._password_hasher.verify_secret", counted)

    def counting_hash(*arguments, **named):
        return counted_hash(*arguments, **named)

    def counted_hash(*arguments, **named):
        with counted.lock:
            counted.calls += 1
        return hash_secret(*arguments, **named)

    monkeypatch.setattr("argon2._password_hasher.hash_secret", counting_hash)
    return counted


@pytest.fixture(scope="session")
def rsa_key():
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="session")
def ec_key():
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def pem(key) -> bytes:
    """A private key as its file has it."""
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key) -> bytes:
    """The public half of a private key, as everybody may have it."""
    from cryptography.hazmat.primitives import serialization

    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.fixture(scope="session")
def rsa_pem(rsa_key) -> bytes:
    return pem(rsa_key)


@pytest.fixture(scope="session")
def ec_pem(ec_key) -> bytes:
    return pem(ec_key)


@pytest.fixture(scope="session")
def rsa_public_pem(rsa_key) -> bytes:
    return public_pem(rsa_key)
