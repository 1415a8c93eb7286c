"""Where statements go: a directory that is opened here, or a server; both are a Connection."""

from kalamdb.cli.connection.connection import Answer, Connection, Event, Events
from kalamdb.cli.connection.opening import open_connection
from kalamdb.cli.connection.target import Target

__all__ = ["Answer", "Connection", "Event", "Events", "Target", "open_connection"]
