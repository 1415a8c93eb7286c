"""The fixture that every benchmark asks for."""

from bench.race import paddock

__all__ = ["paddock"]
