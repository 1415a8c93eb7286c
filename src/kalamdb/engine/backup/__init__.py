"""Backups: what a database was at one moment, in files of their own, and the way back."""

from kalamdb.engine.backup.description import Backup, decode_backup, encode_backup
from kalamdb.engine.backup.restoring import RestoredTable, restore_rows
from kalamdb.engine.backup.target import BackupTarget
from kalamdb.engine.backup.writing import Held, take_backup

__all__ = [
    "Backup",
    "BackupTarget",
    "Held",
    "RestoredTable",
    "decode_backup",
    "encode_backup",
    "restore_rows",
    "take_backup",
]
