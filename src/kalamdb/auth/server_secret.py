"""What this database signs access tokens with.

A key file, where the setting `jwt_key_file` names one; else a secret from the environment (KALAM_JWT_SECRET); else
the one in the file `jwt.secret` of the database directory, which is made at first need. There is no default: two
databases never share a secret that nobody gave them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from kalamcore.system import FileSystem
from kalamdb.auth.keys import SigningKey, private_key, secret_key
from kalamdb.errors import InvalidSetting
from kalamdb.storage.secret_file import SecretFile

ENVIRONMENT_NAME = "KALAM_JWT_SECRET"
FILE_NAME = "jwt.secret"
_GENERATED_BYTES = 48


class ServerSecret:
    """Finds or makes the key of one database, once. Safe for threads."""

    def __init__(
        self,
        files: FileSystem,
        directory: str,
        environment: Mapping[str, str],
        *,
        key_file: str | None = None,
    ) -> None:
        """`key_file`: the setting `jwt_key_file`."""
        self._file = SecretFile(files, directory, FILE_NAME)
        self._environment = environment
        self._key_file = key_file
        self._lock = threading.Lock()
        self._key: SigningKey | None = None

    def key(self) -> SigningKey:
        """The key. Raises InvalidSetting for one that is weak or cannot be read, StorageUnavailable."""
        with self._lock:
            if self._key is None:
                self._key = self._find()
            return self._key

    def __repr__(self) -> str:
        return "<ServerSecret>"

    def _find(self) -> SigningKey:
        if self._key_file is not None:
            return private_key(read_key_file(self._key_file, "jwt_key_file"), "jwt_key_file")
        # Set and empty is a mistake, and no reason to go on with another secret.
        given = self._environment.get(ENVIRONMENT_NAME)
        if given is not None:
            return secret_key(os.fsencode(given), ENVIRONMENT_NAME)
        kept = self._file.read()
        if kept is not None:
            return secret_key(kept, FILE_NAME)
        import base64

        made = base64.b64encode(os.urandom(_GENERATED_BYTES))
        self._file.write(made + b"\n")
        return secret_key(made, FILE_NAME)


def read_key_file(path: str, where: str) -> bytes:
    """What a file outside of the database directory holds. Raises InvalidSetting, which does not show the path."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InvalidSetting(f"the file of {where} cannot be read: {error.strerror}") from None
