"""A storage's definition as JSON text, as the catalog stores it.

As with tables, the text carries a format number, and newer ones are refused instead of guessed.
"""

from __future__ import annotations

import datetime

from kalamdb.errors import Corruption, UnknownFormat
from kalamdb.storage.definition import Storage

STORAGE_FORMAT = 1

_TEXTS = ("name", "description", "secret")


def encode_storage(storage: Storage) -> str:
    """The JSON text of a storage. Its credentials are encrypted in it."""
    import orjson

    return orjson.dumps(
        {
            "format": STORAGE_FORMAT,
            "type": storage.type,
            "uri": storage.uri,
            **{name: value for name in _TEXTS if (value := getattr(storage, name)) is not None},
            "shared_tables_template": storage.shared_tables_template,
            "user_tables_template": storage.user_tables_template,
            "created_at": storage.created_at.isoformat(),
            "updated_at": storage.updated_at.isoformat(),
        }
    ).decode()


def decode_storage(storage_id: str, text: str) -> Storage:
    """The storage that `encode_storage` wrote. Raises UnknownFormat for a newer format, Corruption for what is none."""
    import orjson

    try:
        found = orjson.loads(text)
        written = found["format"]
        if written > STORAGE_FORMAT:
            raise UnknownFormat(
                f'the definition of storage "{storage_id}" has format {written}, and this version of kalamdb reads up '
                f"to {STORAGE_FORMAT}; open the database with a newer kalamdb"
            )
        return Storage(
            storage_id,
            found["type"],
            found["uri"],
            datetime.datetime.fromisoformat(found["created_at"]),
            datetime.datetime.fromisoformat(found["updated_at"]),
            shared_tables_template=found["shared_tables_template"],
            user_tables_template=found["user_tables_template"],
            **{name: found[name] for name in _TEXTS if name in found},
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Corruption(
            f'the definition of storage "{storage_id}" cannot be read; restore the database from a backup'
        ) from error
