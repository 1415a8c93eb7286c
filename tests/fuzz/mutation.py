"""Small damage to bytes: what stands in for Atheris where it is not installed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"

SQL_WORDS = (
    b"SELECT", b"FROM", b"WHERE", b"INSERT INTO", b"VALUES", b"UPDATE", b"SET", b"DELETE FROM",
    b"CREATE TABLE", b"AND", b"OR", b"NOT", b"IN", b"BETWEEN", b"LIKE", b"ESCAPE", b"IS NULL",
    b"IS DISTINCT FROM", b"CASE WHEN", b"THEN", b"ELSE", b"END", b"CAST(", b"AS", b"::",
    b"INTERVAL '1 day'", b"TIMESTAMP '2025-01-01'", b"DEFAULT", b"RETURNING", b"ON CONFLICT",
    b"PRIMARY KEY", b"NULL", b"TRUE", b"EXISTS (", b"'", b"''", b'"', b"--", b"/*", b"*/", b"$1", b"?",
    b"(", b")", b",", b";", b"X'", b"E'", b"0x", b"1e308", b"9223372036854775808", b"-", b"||", b"->>",
    b"\x00", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc2\xa0",
)  # fmt: skip
NUMBERS = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"\xff" * 8,
    b"\x80" * 10,
    b"\x00\x10\x00\x00",
)


def seeds(name: str) -> list[tuple[str, bytes]]:
    """The corpus of one module: names of files and what is in them."""
    return [(path.name, path.read_bytes()) for path in sorted((CORPUS / name).iterdir())]


def mutations(corpus: Sequence[bytes], words: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """`count` of them, the same for the same seed."""
    dice = random.Random(seed)
    for _ in range(count):
        data = bytearray(dice.choice(corpus))
        for _ in range(dice.randrange(1, 6)):
            at = dice.randrange(len(data) + 1)
            until = min(len(data), at + dice.choice((1, 1, 2, 4, 8, 30)))
            match dice.randrange(7):
                case 0:
                    del data[at:until]
                case 1:
                    data[at:at] = data[at:until] * dice.choice((1, 1, 2, 50))
                case 2 | 3:
                    data[at:at] = dice.choice(words)
                case 4:
                    data[at:until] = dice.randbytes(until - at)
                case 5 if data:
                    data[min(at, len(data) - 1)] ^= 1 << dice.randrange(8)
                case _:
                    other = dice.choice(corpus)
                    data[at:until] = other[dice.randrange(len(other) + 1) :][:40]
        yield bytes(data)
