"""Live queries over the network: the WebSocket at /v1/ws."""

from kalamdb.server.websocket.hub import Hub
from kalamdb.server.websocket.server_options import server_options
from kalamdb.server.websocket.socket import PATH, serve_socket

__all__ = ["PATH", "Hub", "serve_socket", "server_options"]
