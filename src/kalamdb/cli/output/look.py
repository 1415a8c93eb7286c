"""How answers are to look: what of it the reader chose, and what the terminal asks for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Look:
    """`colour`: whether escapes of a terminal are understood. `width`: columns of the terminal; None where lines may be
    of any length. `boxes`: whether lines may be drawn with characters that are not ASCII. `expanded`: on, off or
    auto."""

    colour: bool = False
    width: int | None = None
    boxes: bool = True
    expanded: str = "auto"
    null: str = "NULL"
