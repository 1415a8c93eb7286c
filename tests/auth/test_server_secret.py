"""What tokens are signed with: given, kept, or made; never a default."""

from __future__ import annotations

import base64
import pickle
import stat

import pytest

from kalamcore.system import FileSystem
from kalamdb.auth.keys import private_key, secret_key
from kalamdb.auth.server_secret import ENVIRONMENT_NAME, FILE_NAME, ServerSecret
from kalamdb.errors import InvalidSetting, StorageUnavailable
from tests.auth.conftest import pem

CANARY = "canary-4f1d-of-the-server-secret-xyzw"


@pytest.fixture
def memory() -> FileSystem:
    files = FileSystem.memory()
    files.make_directory("/db")
    return files


def test_default_jwt_secret():
    # The Rust project had one, and every installation that kept it took everybody's tokens.
    found = set()
    for _ in range(3):
        files = FileSystem.memory()
        files.make_directory("/db")
        found.add(bytes(ServerSecret(files, "/db", {}).key().material))

    assert len(found) == 3


def test_a_missing_secret_is_made_once_and_readable_by_its_owner_alone(tmp_path):
    files = FileSystem.posix()
    made = ServerSecret(files, str(tmp_path), {}).key()
    file = tmp_path / FILE_NAME

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(base64.b64decode(file.read_bytes())) == 48
    assert made.algorithm == "HS256"
    assert ServerSecret(files, str(tmp_path), {}).key().material == made.material
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_it_is_not_made_before_it_is_needed(memory):
    ServerSecret(memory, "/db", {})

    assert not memory.exists(f"/db/{FILE_NAME}")


def test_the_environment_s_secret_wins_and_no_file_is_made(memory):
    key = ServerSecret(memory, "/db", {ENVIRONMENT_NAME: CANARY}).key()

    assert key.material == CANARY.encode()
    assert not memory.exists(f"/db/{FILE_NAME}")


@pytest.mark.parametrize(
    "secret", ["", " ", "short", "x" * 31, "abcdefgh" * 3, "x" * 64, "abc" * 20, " " * 40, f"  {'y' * 31}  "]
)
def test_a_secret_that_can_be_guessed_is_refused_and_not_shown(memory, secret):
    with pytest.raises(InvalidSetting, match="too weak") as caught:
        ServerSecret(memory, "/db", {ENVIRONMENT_NAME: secret}).key()
    assert not secret.strip() or secret.strip() not in str(caught.value)

    memory.write_atomic(f"/db/{FILE_NAME}", secret.encode())
    with pytest.raises(InvalidSetting, match=FILE_NAME):
        ServerSecret(memory, "/db", {}).key()


def test_a_disk_that_fails_gives_no_secret(memory):
    memory.fail(["write", "open", "rename"], sticky=True)

    with pytest.raises(StorageUnavailable, match=FILE_NAME):
        ServerSecret(memory, "/db", {}).key()
    memory.forgive()
    assert ServerSecret(memory, "/db", {}).key().algorithm == "HS256"


def test_a_secret_survives_a_power_cut_as_soon_as_it_is_used(memory):
    made = ServerSecret(memory, "/db", {}).key()

    assert ServerSecret(memory.crash(), "/db", {}).key().material == made.material


def test_a_key_file_says_by_its_kind_which_algorithm(memory, tmp_path, rsa_pem, ec_pem):
    for name, text, algorithm in (("rsa", rsa_pem, "RS256"), ("ec", ec_pem, "ES256")):
        (tmp_path / name).write_bytes(text)

        key = ServerSecret(memory, "/db", {}, key_file=str(tmp_path / name)).key()

        assert (key.algorithm, key.verifying.algorithm) == (algorithm, algorithm)
    assert not memory.exists(f"/db/{FILE_NAME}")


def test_other_keys_are_refused(memory, tmp_path, rsa_public_pem):
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    for text in (
        b"",
        b"no key",
        rsa_public_pem,
        pem(weak),
        pem(ec.generate_private_key(ec.SECP384R1())),
        pem(ed25519.Ed25519PrivateKey.generate()),
    ):
        (tmp_path / "key").write_bytes(text)
        with pytest.raises(InvalidSetting, match="jwt_key_file"):
            ServerSecret(memory, "/db", {}, key_file=str(tmp_path / "key")).key()


def test_a_key_file_that_is_not_there_is_refused_without_its_path(memory, tmp_path):
    with pytest.raises(InvalidSetting, match="cannot be read") as caught:
        ServerSecret(memory, "/db", {}, key_file=str(tmp_path / "missing")).key()

    assert str(tmp_path) not in str(caught.value)
    assert not memory.exists(f"/db/{FILE_NAME}")


def test_a_public_key_is_no_shared_secret(rsa_public_pem, rsa_pem):
    for text in (rsa_public_pem, rsa_pem):
        with pytest.raises(InvalidSetting, match="PEM"):
            secret_key(text, "it")


def test_nothing_that_shows_a_key_shows_the_secret(memory, rsa_pem):
    secret = ServerSecret(memory, "/db", {ENVIRONMENT_NAME: CANARY})
    key = secret.key()

    for shown in (secret, key, key.verifying, private_key(rsa_pem, "it")):
        assert CANARY not in repr(shown) + str(shown) + f"{shown}"
    for refused in (key, key.verifying):
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(refused)
