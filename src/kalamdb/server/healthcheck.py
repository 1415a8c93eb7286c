"""GET /v1/api/healthcheck: whether the database is open, and of which version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from kalamdb.errors import Error
from kalamdb.version import __version__

if TYPE_CHECKING:
    from kalamdb.server.call import Call

API_VERSION = "v1"


async def healthcheck(call: Call) -> None:
    """200 while statements are served, 503 while the server or the database is closing."""
    application = call.application
    healthy = not application.closing
    try:
        application.database.check_open()
    except Error:
        healthy = False
    shape = {
        "status": "healthy" if healthy else "closing",
        "version": __version__,
        "api_version": API_VERSION,
    }
    await call.respond(JSONResponse(shape, 200 if healthy else 503, headers={"cache-control": "no-store"}))
