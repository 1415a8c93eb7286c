"""What an ASGI server has to be told, so that WebSockets are as the settings say. For uvicorn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kalamdb.settings import Settings

SIZE_LEEWAY = 2
"""The server itself ends a connection whose message is so much larger than it may be; below that it is told why."""


def server_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of uvicorn.Config. Deflate stays off: it halves how many can be told, and doubles memory."""
    return {
        "ws": "websockets-sansio",
        "ws_max_size": settings.websocket_message_bytes_max * SIZE_LEEWAY,
        "ws_ping_interval": settings.websocket_ping_s,
        "ws_ping_timeout": settings.websocket_ping_s,
        "ws_per_message_deflate": False,
    }
