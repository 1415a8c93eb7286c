"""`python -m tests.third_party.refusals`: writes refused.md anew, from what mode `shared` refuses now."""

from __future__ import annotations

import re

from tests.third_party import listed
from tests.third_party.suite import PATHS, run

_TITLE_MAX = 150
_NAMED = (
    (
        r"(?<=return only one column: ).*|(?<=unique expression names).*|(?<=in GROUP BY or an aggregate function).*",
        "…",
    ),
    (
        r"(?<=should only return one column: ).*|(?<=ORDER BY expressions ).*(?= must)|(?<=The window ).*(?= is not)",
        "…",
    ),
    (r"\"[^\"]*\"|'[^']*'|\(.*\)|\{.*\}", "…"),
    (r"(?:Expr::)?\b(?:Boolean|Int32|Int64|Float32|Float64|Utf8|Binary|Decimal128)\b", "…"),
    (r"(?<=function )\w+|(?<=Column )\S+|(?<=field name )\S+|(?<=qualified field name )\S+", "…"),
    (r"-?\b\w+\.\w+\b|-?\b\d+(?:\.\d+)?\b", "…"),
    (r"(?<=…) (?:[-+*/=<>!|&]+|AND|OR|IS DISTINCT FROM|IS NOT DISTINCT FROM) (?=…)", " and "),
    (r"…(?:(?:,? |…)…)+", "…"),
)
"""What messages name, in the order in which it is taken out of them."""

_HEAD = """# What is refused

Queries of `sqlite/` that this database does not answer, by the error that it gives instead. Written by
`python -m tests.third_party.refusals`; the tests hold it to the codes.
"""


def main() -> None:
    """Asks everything once."""
    differences = listed.read(listed.DIFFERENCES)
    refused: dict[listed.Query, str] = {}
    for path in PATHS:
        for name, error in run(path, "shared", differences, {}).refusals.items():
            refused[path.stem, name] = f"{error.code}: {_kind(error.message)}"
    titles = sorted(set(refused.values()))
    lines = [_HEAD, *listed.sections(refused, titles)]
    listed.REFUSED.write_text("\n".join(lines).rstrip("\n") + "\n", encoding="utf-8")


def _kind(message: str) -> str:
    """A message without what it names, so that alike ones meet."""
    message = message.split("\n")[0]
    for pattern, instead in _NAMED:
        message = re.sub(pattern, instead, message)
    return message if len(message) <= _TITLE_MAX else message[:_TITLE_MAX] + "…"


if __name__ == "__main__":
    main()
