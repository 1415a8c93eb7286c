"""How messages are written on one connection: as JSON or MessagePack, as they are or in gzip.

JSON is text frames, all else binary ones. A message in gzip says so by its first two bytes, which begin no MessagePack
map; short ones are not worth it. A client may always send JSON as text.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from kalamcore.nesting import is_json_deeper, is_msgpack_deeper
from kalamdb.server.call import Message
from kalamdb.server.gunzip import GzipTooLarge, NotGzip, unzipped
from kalamdb.server.nesting import DEPTH_MAX
from kalamdb.server.websocket.client_frames import ClientFrame, Protocol
from kalamdb.server.websocket.refusals import InvalidMessage, MessageTooLarge

GZIP_BYTES_MIN = 512
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_LEVEL = 1

_json_decoder: msgspec.json.Decoder[ClientFrame] = msgspec.json.Decoder(ClientFrame)
_msgpack_decoder: msgspec.msgpack.Decoder[ClientFrame] = msgspec.msgpack.Decoder(ClientFrame)
_msgpack_encoder = msgspec.msgpack.Encoder()


class Frame:
    """A message to a client, as it goes over the wire. `size`: in bytes."""

    __slots__ = ("message", "size")

    def __init__(self, message: Message, size: int) -> None:
        self.message = message
        self.size = size


class Encoding:
    """One way of writing messages; all connections that have it share it."""

    __slots__ = ("compressed", "packed", "protocol")

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.packed = protocol.serialization == "msgpack"
        self.compressed = protocol.compression == "gzip"

    def frame(self, text: str) -> Frame:
        """The frame of a message that is given as JSON."""
        if not self.packed and not self.compressed:
            return Frame(
                {"type": "websocket.send", "text": text}, len(text) if text.isascii() else len(text.encode())
            )
        data = _msgpack_encoder.encode(orjson.loads(text)) if self.packed else text.encode()
        if self.compressed and len(data) >= GZIP_BYTES_MIN:
            data = gzip.compress(data, _GZIP_LEVEL, mtime=0)
        elif not self.packed:
            return Frame({"type": "websocket.send", "text": text}, len(data))
        return Frame({"type": "websocket.send", "bytes": data}, len(data))

    def read(self, message: Mapping[str, Any], bytes_max: int) -> ClientFrame:
        """The message of a client. Raises InvalidMessage, MessageTooLarge."""
        text, data = message.get("text"), message.get("bytes")
        if text is not None:
            data = text.encode("utf-8", "replace")
        if data is None:
            raise InvalidMessage("the message is empty; send a JSON object")
        if len(data) > bytes_max:
            raise _too_large(bytes_max)
        if text is None:
            if not self.packed and not self.compressed:
                raise InvalidMessage(
                    "the message is binary, which was not agreed upon; send JSON as text, or agree upon a protocol"
                )
            if self.compressed and data[:2] == _GZIP_MAGIC:
                data = _unzipped(data, bytes_max)
        packed = self.packed and text is None
        if is_msgpack_deeper(data, DEPTH_MAX) if packed else is_json_deeper(data, DEPTH_MAX):
            raise InvalidMessage(f"the message is nested more than {DEPTH_MAX} deep; send fewer levels")
        try:
            if packed:
                return _msgpack_decoder.decode(data)
            return _json_decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidMessage(f"the message is none that there is: {error}") from None


ENCODINGS: Mapping[Protocol, Encoding] = {
    protocol: Encoding(protocol)
    for protocol in (
        Protocol("json", "none"),
        Protocol("json", "gzip"),
        Protocol("msgpack", "none"),
        Protocol("msgpack", "gzip"),
    )
}


def _unzipped(data: bytes, bytes_max: int) -> bytes:
    try:
        return unzipped(data, bytes_max)
    except GzipTooLarge:
        raise _too_large(bytes_max) from None
    except NotGzip:
        raise InvalidMessage("the message begins as gzip, and is not the whole of one alone") from None


def _too_large(bytes_max: int) -> MessageTooLarge:
    return MessageTooLarge(
        f"the message is larger than websocket_message_bytes_max ({bytes_max} bytes); send less at a time"
    )
