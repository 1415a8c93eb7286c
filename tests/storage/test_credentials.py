"""Credentials and the key they are encrypted under: nothing that shows them shows a value."""

from __future__ import annotations

import base64
import pickle
import stat

import pytest

from kalamcore.system import FileSystem
from kalamdb.errors import Corruption, InvalidDefinition, InvalidSetting, OperationalError
from kalamdb.storage.credentials import Credentials, parse_credentials
from kalamdb.storage.master_key import MasterKey

CANARY = "canary-4f1d"


@pytest.fixture
def memory() -> FileSystem:
    files = FileSystem.memory()
    files.make_directory("/db")
    return files


def test_keys_and_their_aliases_are_taken():
    given = parse_credentials('{"access_key": "a", "secret_key": "b", "region": "eu-central-1"}', "s3")

    assert dict(given.values) == {"access_key_id": "a", "secret_access_key": "b", "region": "eu-central-1"}
    assert parse_credentials(given.text(), "s3") == given


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "JSON object"),
        ("{", "JSON object"),
        ("[]", "JSON object"),
        ('"x"', "JSON object"),
        (f'{{"acces_key": "{CANARY}"}}', "did you mean access_key"),
        (f'{{"password": "{CANARY}"}}', "keys are access_key_id"),
        ('{"access_key": "a", "access_key_id": "b", "secret_key": "c"}', "access_key_id twice"),
        (f'{{"access_key_id": "{CANARY}"}}', "give both or none"),
        ('{"region": 5}', "region in CREDENTIALS is text"),
        ('{"region": ""}', "1 to"),
        ('{"region": "a\\nb"}', "visible ASCII"),
        ('{"allow_http": "maybe"}', "true or false"),
        ('{"endpoint": "localhost:9000"}', "https://host"),
        (f'{{"endpoint": "https://u:{CANARY}@host"}}', "without user"),
        ('{"endpoint": "http://localhost:9000"}', "allow_http"),
        ('{"region": NaN}', "JSON object"),
        ("[" * 10_000, "JSON object"),
        ("x" * 20_000, "up to 16384"),
    ],
)
def test_what_cannot_be_is_refused_without_a_value(text, message):
    with pytest.raises(InvalidDefinition, match=message) as caught:
        parse_credentials(text, "s3")

    assert CANARY not in str(caught.value)


def test_a_directory_has_no_credentials():
    with pytest.raises(InvalidDefinition, match="leave them out"):
        parse_credentials("{}", "filesystem")


def test_nothing_that_shows_credentials_shows_a_value():
    given = Credentials({"secret_access_key": CANARY})

    assert CANARY not in repr(given) + str(given) + f"{given}"
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(given)


def test_a_secret_comes_back_under_the_same_key_and_name_alone(memory):
    key = MasterKey(memory, "/db", {})
    sealed = key.encrypt(CANARY.encode(), "archive")

    assert CANARY not in sealed
    assert sealed != key.encrypt(CANARY.encode(), "archive")
    assert MasterKey(memory, "/db", {}).decrypt(sealed, "archive") == CANARY.encode()
    with pytest.raises(Corruption, match="give them again"):
        key.decrypt(sealed, "other")


@pytest.mark.parametrize("position", range(0, 100, 3))
def test_a_changed_secret_is_refused(memory, position):
    key = MasterKey(memory, "/db", {})
    sealed = key.encrypt(b"x" * 20, "archive")
    at = position % len(sealed)
    changed = sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :]

    with pytest.raises((Corruption, OperationalError)):
        key.decrypt(changed, "archive")


def test_the_key_file_is_made_at_first_need_and_readable_by_its_owner_alone(tmp_path):
    key = MasterKey(FileSystem.posix(), str(tmp_path), {})
    file = tmp_path / "master.key"

    assert not file.exists()
    key.encrypt(b"x", "archive")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(base64.b64decode(file.read_bytes())) == 32


def test_the_environment_s_key_wins_and_no_file_is_made(memory):
    environment = {"KALAM_MASTER_KEY": "ab" * 32}
    sealed = MasterKey(memory, "/db", environment).encrypt(b"x", "archive")

    assert not memory.exists("/db/master.key")
    again = {"KALAM_MASTER_KEY": base64.b64encode(b"\xab" * 32).decode()}
    assert MasterKey(memory, "/db", again).decrypt(sealed, "archive") == b"x"
    with pytest.raises(OperationalError, match="another master key"):
        MasterKey(memory, "/db", {"KALAM_MASTER_KEY": "cd" * 32}).decrypt(sealed, "archive")
    with pytest.raises(OperationalError, match="master key is not there"):
        MasterKey(memory, "/db", {}).decrypt(sealed, "archive")


@pytest.mark.parametrize("text", ["short", "x" * 64, "ab" * 31, base64.b64encode(b"1" * 31).decode()])
def test_a_weak_or_broken_key_is_refused_and_not_repeated(memory, text):
    with pytest.raises(InvalidSetting, match="openssl rand") as caught:
        MasterKey(memory, "/db", {"KALAM_MASTER_KEY": text}).encrypt(b"x", "archive")

    assert text not in str(caught.value)
