"""Where cold bytes live: one small interface over directories and buckets, path templates, credentials."""

from kalamdb.storage.backend import StorageBackend
from kalamdb.storage.definition import LOCAL, Storage, check_storage, local_storage
from kalamdb.storage.pace import Pace
from kalamdb.storage.storages import Storages

__all__ = ["LOCAL", "Pace", "Storage", "StorageBackend", "Storages", "check_storage", "local_storage"]
