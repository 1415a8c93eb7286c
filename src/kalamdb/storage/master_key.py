"""The master key: what credentials in the catalog are encrypted under.

It comes from the environment (KALAM_MASTER_KEY) or else from the file `master.key` of the database directory, which
is made, readable by its owner alone, when a secret is first kept. Whoever takes a copy of the log does not have it;
whoever takes the whole directory has it, unless it came from the environment.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from kalamcore.system import FileSystem
from kalamdb.errors import Corruption, InvalidSetting, OperationalError
from kalamdb.storage.secret_file import SecretFile

ENVIRONMENT_NAME = "KALAM_MASTER_KEY"
FILE_NAME = "master.key"
KEY_BYTES = 32
_NONCE_BYTES = 12
_FORMAT = "1"
_CONTEXT = b"kalamdb storage credentials\0"


class MasterKey:
    """Encrypts and decrypts the secrets of one database. Safe for threads.

    The key is looked for when it is first needed.
    """

    def __init__(self, files: FileSystem, directory: str, environment: Mapping[str, str]) -> None:
        self._file = SecretFile(files, directory, FILE_NAME)
        self._environment = environment
        self._lock = threading.Lock()
        self._key: bytes | None = None

    def encrypt(self, secret: bytes, name: str) -> str:
        """The secret as text for the catalog, bound to the name of what it belongs to. Raises InvalidSetting,
        StorageUnavailable."""
        import base64

        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key = self._load(make=True)
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(key).encrypt(nonce, secret, _CONTEXT + name.encode())
        return f"{_FORMAT}.{_fingerprint(key)}.{base64.b64encode(nonce + sealed).decode()}"

    def decrypt(self, text: str, name: str) -> bytes:
        """What `encrypt` was given. Raises OperationalError where this is not the key it was encrypted under,
        Corruption where the text is not what was kept."""
        import base64

        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            version, fingerprint, encoded = text.split(".")
            sealed = base64.b64decode(encoded, validate=True)
        except ValueError:
            raise _corrupt(name) from None
        if version != _FORMAT:
            raise _corrupt(name)
        key = self._load(make=False)
        if fingerprint != _fingerprint(key):
            raise OperationalError(
                f'the secrets of "{name}" were encrypted under another master key; set {ENVIRONMENT_NAME} or bring '
                f"back {FILE_NAME} as it was, or give the secrets again"
            )
        try:
            return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _CONTEXT + name.encode())
        except (InvalidTag, ValueError):
            raise _corrupt(name) from None

    def __repr__(self) -> str:
        return "<MasterKey>"

    def _load(self, *, make: bool) -> bytes:
        with self._lock:
            if self._key is None:
                given = self._environment.get(ENVIRONMENT_NAME)
                self._key = _parse(given, ENVIRONMENT_NAME) if given else self._from_file(make=make)
            return self._key

    def _from_file(self, *, make: bool) -> bytes:
        import base64

        kept = self._file.read()
        if kept is not None:
            return _parse(kept.decode("ascii", "replace"), FILE_NAME)
        if not make:
            raise OperationalError(
                f"the master key is not there: set {ENVIRONMENT_NAME}, or bring back {FILE_NAME} to the database "
                "directory, or give the secrets again"
            )
        key = os.urandom(KEY_BYTES)
        # Before anything is encrypted under it.
        self._file.write(base64.b64encode(key) + b"\n")
        return key


def _parse(text: str, where: str) -> bytes:
    import base64

    text = text.strip()
    try:
        key = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise InvalidSetting(
            f"{where} is no master key: it is {KEY_BYTES} random bytes as base64 or as {2 * KEY_BYTES} hex digits; "
            "openssl rand -base64 32 makes one"
        )
    return key


def _fingerprint(key: bytes) -> str:
    """Tells keys apart and nothing about them."""
    import hashlib

    return hashlib.sha256(b"kalamdb master key\0" + key).hexdigest()[:16]


def _corrupt(name: str) -> Corruption:
    return Corruption(f'the secrets of "{name}" cannot be decrypted; give them again')
