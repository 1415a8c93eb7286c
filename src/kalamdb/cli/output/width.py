"""How many columns of a terminal a text takes, and texts that no terminal may take for commands."""

from __future__ import annotations

import re
from collections.abc import Sequence

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def shown(text: str) -> str:
    """The text with what moves the cursor, changes colours or turns the direction of writing spelled out."""
    return text if text.isprintable() else _CONTROL.sub(_spelled, text)


def _spelled(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def all_shown(texts: Sequence[str | None]) -> list[str | None]:
    """`shown` of many."""
    if "".join(filter(None, texts)).isprintable():
        return list(texts)
    return [None if text is None else shown(text) for text in texts]


def width(text: str) -> int:
    """Its columns: most characters take one, those of East Asia and emoji two, accents that join none."""
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth

    found: int = wcswidth(text)
    return found if found >= 0 else len(text)


def cut(text: str, columns: int, mark: str = "…") -> str:
    """The text in at most `columns` columns, a mark at its end where something is left out."""
    if width(text) <= columns:
        return text
    if text.isascii():
        return text[: columns - width(mark)] + mark
    from wcwidth import wcwidth

    kept, used = [], width(mark)
    for character in text:
        used += max(0, wcwidth(character))
        if used > columns:
            break
        kept.append(character)
    return "".join(kept) + mark
