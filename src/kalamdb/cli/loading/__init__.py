"""Files to tables: read as their format has them, typed as the table has it, what does not fit told by line."""

from kalamdb.cli.loading.command import import_file

__all__ = ["import_file"]
