"""EXECUTE AS USER 'u' ( statement ): told by its tokens, since what stands between the parentheses is any statement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalamdb.errors import InvalidSyntax

if TYPE_CHECKING:
    from kalamcore.statements import Scan

_WORD, _QUOTED, _STRING, _OPERATOR = 1, 2, 3, 8
_OF_THE_SESSION = frozenset({"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "USE"})


@dataclass(frozen=True, slots=True)
class ExecuteAs:
    """`sql`: the statement's text, which begins at `position` of the whole."""

    user: str
    sql: str
    position: int


def execute_as(scan: Scan, sql: str) -> ExecuteAs | None:
    """What is to be executed, and as whom; None where the text is no EXECUTE AS. Raises InvalidSyntax."""
    if scan.kind != "EXECUTE":
        return None
    tokens = scan.tokens
    words = [token[3] if token[0] == _WORD else None for token in tokens[:3]]
    if words[:2] != ["execute", "as"]:
        return None
    # EXECUTE AS USER, a name, two parentheses, and something between them.
    if (
        len(tokens) < 7
        or words[2] != "user"
        or tokens[3][0] not in (_WORD, _QUOTED, _STRING)
        or (tokens[4][0], tokens[4][3]) != (_OPERATOR, "(")
        or (tokens[-1][0], tokens[-1][3]) != (_OPERATOR, ")")
    ):
        at = next((token[1] for token in tokens[2:]), len(sql))
        raise InvalidSyntax("write EXECUTE AS USER 'name' ( statement )", position=at)
    opening, last = tokens[4], tokens[-1]
    depth = 0
    for token in tokens[4:]:
        if token[0] == _OPERATOR and token[3] in ("(", ")"):
            depth += 1 if token[3] == "(" else -1
            if depth == 0 and token is not last:
                raise InvalidSyntax(
                    "one pair of parentheses holds the statement of EXECUTE AS USER", position=token[1]
                )
    first = tokens[5]
    word = str(first[3]).upper() if first[0] == _WORD else ""
    if word in _OF_THE_SESSION:
        raise InvalidSyntax(
            f"{word} is about the session itself and cannot stand in EXECUTE AS USER", position=first[1]
        )
    if word == "EXECUTE":
        raise InvalidSyntax("EXECUTE AS USER cannot stand in another one", position=first[1])
    start, end = opening[2], last[1]
    return ExecuteAs(str(tokens[3][3]), sql[start:end], start)
