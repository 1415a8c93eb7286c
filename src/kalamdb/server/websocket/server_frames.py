"""The messages that the server sends, as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from kalamdb.protocol import encode_schema

if TYPE_CHECKING:
    from kalamdb.live import Plan
    from kalamdb.server.websocket.client_frames import Protocol

LOADING, LOADING_BATCH, READY = "loading", "loading_batch", "ready"


def auth_success(user: str, role: str, protocol: Protocol) -> str:
    """Who the client is taken for, and how messages are written from the next one on."""
    return _text(
        {
            "type": "auth_success",
            "user": user,
            "user_id": user,
            "role": role,
            "protocol": {"serialization": protocol.serialization, "compression": protocol.compression},
        }
    )


def auth_error(message: str) -> str:
    """Why the connection is closed behind this."""
    return _text({"type": "auth_error", "message": _shown(message)})


def subscription_ack(subscription_id: str, plan: Plan, total_rows: int, *, rows_follow: bool) -> str:
    """The subscription is open. `rows_follow`: the first batch comes behind this."""
    return _text(
        {
            "type": "subscription_ack",
            "subscription_id": subscription_id,
            "total_rows": total_rows,
            "batch_control": _batch_control(0, rows_follow, LOADING if rows_follow else READY, None),
            "schema": encode_schema(plan.columns, plan.types),
        }
    )


def initial_data_batch(
    subscription_id: str, number: int, rows: str, *, has_more: bool, last_seq: int | None
) -> str:
    """Some of the rows that were there. `rows`: as a JSON array. `number`: from 0 on."""
    status = READY if not has_more else LOADING if number == 0 else LOADING_BATCH
    head = _text({"type": "initial_data_batch", "subscription_id": subscription_id})[:-1]
    return (
        f'{head},"rows":{rows},"batch_control":{_text(_batch_control(number, has_more, status, last_seq))}}}'
    )


def change_head(subscription_id: str) -> str:
    """How a change begins that is told to a subscription; what follows is the same for all."""
    return _text({"type": "change", "subscription_id": subscription_id})[:-1]


def change_tail(kind: str, rows: Sequence[bytes], old_values: Sequence[bytes]) -> str:
    """The rest of it. `rows`, `old_values`: JSON objects; what there is none of is left out."""
    new = b',"rows":[%s]' % b",".join(rows) if rows else b""
    old = b',"old_values":[%s]' % b",".join(old_values) if old_values else b""
    return b"".join((b',"change_type":"', kind.encode(), b'"', new, old, b"}")).decode()


def error(
    subscription_id: str | None, code: str, message: str, details: Mapping[str, object] | None = None
) -> str:
    """What went wrong; with an id, of that subscription. `details`: as over HTTP."""
    found: dict[str, object] = {"type": "error", "code": code, "message": _shown(message)}
    if details is not None:
        found["details"] = details
    if subscription_id is not None:
        found["subscription_id"] = subscription_id
    return _text(found)


def pong() -> str:
    """Yes."""
    return '{"type":"pong"}'


def _batch_control(number: int, has_more: bool, status: str, last_seq: int | None) -> dict[str, Any]:
    return {
        "batch_num": number,
        "has_more": has_more,
        "status": status,
        "last_seq_id": None if last_seq is None else str(last_seq),
    }


def _shown(message: str) -> str:
    # A message may quote what the client sent, lone surrogates too, which are no UTF-8.
    return message.encode("utf-8", "backslashreplace").decode()


def _text(found: object) -> str:
    return orjson.dumps(found).decode()
