"""The two makers of connections, of which the place chooses one."""

from __future__ import annotations

from kalamdb.cli.connection.connection import Connection
from kalamdb.cli.connection.target import Target


def open_connection(target: Target) -> Connection:
    """A conversation with the database at the target. Raises kalamdb.Error."""
    if target.is_server:
        from kalamdb.cli.connection.server import connect

        return connect(target)
    from kalamdb.cli.connection.directory import open_directory

    return open_directory(target)
