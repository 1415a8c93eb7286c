"""With which codes a WebSocket is closed, and what they tell a client to do."""

from __future__ import annotations

NORMAL = 1000
"""The client ended it."""
POLICY_VIOLATION = 1008
"""Not authenticated, or not any more; too many messages. Log in again, or send less."""
MESSAGE_TOO_BIG = 1009
"""A message was larger than `websocket_message_bytes_max`. Send less at a time."""
INTERNAL_ERROR = 1011
"""A fault of the server's, which its log tells of; or the client answers no pings. Connect again."""
SERVICE_RESTART = 1012
"""The server goes down. Connect again in a moment, and resume from the last `_seq`."""
TRY_AGAIN_LATER = 1013
"""The client takes what it asked for too slowly, or there are too many connections. Connect again, and resume."""
