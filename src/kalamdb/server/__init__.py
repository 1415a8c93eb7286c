"""The database over HTTP, as an ASGI application: `Database.asgi()` makes it. Needs the extra `kalamdb[server]`."""

from kalamdb.server.application import Application, lifespan

__all__ = ["Application", "lifespan"]
