"""What may come next where the cursor is: by the words before it, from the grammar and from the catalog."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from kalamdb.cli.output import FORMATS
from kalamdb.cli.sql.meta_commands import COMMANDS
from kalamdb.cli.sql.names import Names
from kalamdb.sql.words import function_words, keywords, type_words

if TYPE_CHECKING:
    from collections.abc import Callable

_TOKENS = re.compile(r"'(?:''|[^'])*'?|\"[^\"]*\"?|--[^\n]*|/\*.*?(?:\*/|$)|[\w]+|\S", re.DOTALL)
_TABLE_FOLLOWS = frozenset({"from", "join", "into", "update", "table", "describe", "desc", "on"})
_NAMESPACE_FOLLOWS = frozenset({"use", "namespace"})
_NO_NAME = frozenset(
    [
        "select",
        "where",
        "set",
        "values",
        "group",
        "order",
        "having",
        "limit",
        "on",
        "using",
        "as",
        "left",
        "right",
        "inner",
        "outer",
    ]
)
BEGINNINGS = [
    "alter",
    "backup",
    "begin",
    "checkpoint",
    "commit",
    "create",
    "delete",
    "describe",
    "drop",
    "erase",
    "execute",
    "explain",
    "export",
    "flush",
    "grant",
    "insert",
    "kill",
    "restore",
    "revoke",
    "rollback",
    "select",
    "show",
    "start",
    "storage",
    "subscribe",
    "update",
    "use",
    "values",
    "with",
]
QUERY_FUNCTIONS = [
    "abs",
    "array_agg",
    "avg",
    "ceil",
    "coalesce",
    "concat",
    "count",
    "date_part",
    "date_trunc",
    "floor",
    "greatest",
    "lag",
    "lead",
    "least",
    "left",
    "length",
    "lower",
    "ltrim",
    "max",
    "median",
    "min",
    "nullif",
    "rank",
    "regexp_replace",
    "replace",
    "reverse",
    "right",
    "round",
    "row_number",
    "rtrim",
    "split_part",
    "sqrt",
    "stddev",
    "string_agg",
    "strpos",
    "substr",
    "sum",
    "to_char",
    "trim",
    "upper",
]
"""The query engine's that are asked for most; it has more."""


class Candidate(NamedTuple):
    """One word, and what it is."""

    text: str
    kind: str


def candidates(before: str, names: Names) -> tuple[str, list[Candidate]]:
    """The part of a word that is there already, and what it may become. `before`: the text up to the cursor."""
    line = before.rsplit("\n", 1)[-1]
    if line.lstrip().startswith("\\"):
        return _of_command(line.lstrip(), names)
    tokens = list(_TOKENS.finditer(before))
    if tokens and tokens[-1][0][0] in "'-/" and len(tokens[-1][0]) > 1 and _is_open(tokens[-1][0], before):
        return "", []
    word = re.search(r"\w*$", before)
    begun = word[0] if word else ""
    words = [token[0].lower() for token in tokens]
    if begun and words:
        words.pop()
    if ";" in words:
        words = words[len(words) - words[::-1].index(";") :]
    found = [one for one in _in_context(words, names) if one.text.lower().startswith(begun.lower())]
    if begun.isupper() and begun:
        found = [one._replace(text=one.text.upper()) if one.kind == "keyword" else one for one in found]
    return begun, list(dict.fromkeys(found))


def _is_open(token: str, before: str) -> bool:
    if token.startswith("--"):
        return not before.endswith("\n")
    return (token[0] == "'" and not token.endswith("'")) or (
        token.startswith("/*") and not token.endswith("*/")
    )


def _of_command(line: str, names: Names) -> tuple[str, list[Candidate]]:
    name, blank, argument = line.partition(" ")
    if not blank:
        return name, [Candidate(one.name, "command") for one in COMMANDS if one.name.startswith(name)]
    choices: Iterable[Candidate] = ()
    if name == "\\format":
        choices = [Candidate(one, "format") for one in FORMATS]
    elif name in ("\\x", "\\timing"):
        choices = [Candidate(one, "choice") for one in ("on", "off", *(["auto"] if name == "\\x" else []))]
    elif name in ("\\d", "\\dt"):
        namespace, dot, begun = argument.rpartition(".")
        choices = _tables_of(names, namespace) if dot else _tables(names)
        argument = begun
    return argument, [one for one in choices if one.text.startswith(argument.lower())]


def _in_context(words: list[str], names: Names) -> Iterator[Candidate]:
    if not words:
        yield from (Candidate(word.upper(), "keyword") for word in BEGINNINGS)
        return
    previous = words[-1]
    if previous == ".":
        yield from _behind_dot(words, names)
        return
    if previous in _NAMESPACE_FOLLOWS:
        yield from (Candidate(name, "namespace") for name in names.namespaces)
        return
    names_table = previous in _TABLE_FOLLOWS and not (previous == "on" and "join" in words)
    if names_table or words[-2:] == ["subscribe", "to"]:
        yield from _tables(names)
        return
    for column in dict.fromkeys(
        column for table in _mentioned(words, names) for column in names.tables[table]
    ):
        yield Candidate(column, "column")
    yield from (Candidate(alias, "table") for alias in _aliases(words, names))
    if words[0] in ("create", "alter", "cast") or previous == "::":
        yield from (Candidate(word.upper(), "type") for word in sorted(type_words()))
    yield from (Candidate(name, "function") for name in sorted({*function_words(), *QUERY_FUNCTIONS}))
    yield from (Candidate(word.upper(), "keyword") for word in sorted(keywords()))


def _tables(names: Names) -> Iterator[Candidate]:
    yield from _tables_of(names, names.namespace)
    yield from (Candidate(name, "namespace") for name in names.namespaces)


def _tables_of(names: Names, namespace: str) -> Iterator[Candidate]:
    yield from (Candidate(table, "table") for (of, table) in names.tables if of == namespace)


def _behind_dot(words: list[str], names: Names) -> Iterator[Candidate]:
    """Tables of a namespace, and columns of a table or of what it is called here."""
    before = words[-2].strip('"') if len(words) > 1 else ""
    yield from _tables_of(names, before)
    table = _aliases(words, names).get(before)
    if table is not None:
        yield from (Candidate(column, "column") for column in names.tables[table])


def _mentioned(words: list[str], names: Names) -> list[tuple[str, str]]:
    return list(dict.fromkeys(_aliases(words, names).values()))


def _aliases(words: list[str], names: Names) -> dict[str, tuple[str, str]]:
    """What tables of the statement are called in it."""
    found: dict[str, tuple[str, str]] = {}
    for place, word in enumerate(words):
        if word not in _TABLE_FOLLOWS and not (word == "to" and words[:1] == ["subscribe"]):
            continue
        rest = words[place + 1 :]
        key, behind = (
            ((rest[0], rest[2]), rest[3:])
            if len(rest) > 2 and rest[1] == "."
            else ((names.namespace, rest[0] if rest else ""), rest[1:])
        )
        if key in names.tables:
            found[key[1]] = key
            if behind and behind[0] == "as":
                behind = behind[1:]
            if behind and behind[0].isidentifier() and behind[0] not in _NO_NAME:
                found[behind[0]] = key
    return found


def completer(names: Callable[[], Names]) -> object:
    """The same for prompt_toolkit."""
    from prompt_toolkit.completion import Completer, Completion
    from prompt_toolkit.document import Document

    class KalamCompleter(Completer):
        def get_completions(self, document: Document, event: object) -> Iterator[Completion]:
            begun, found = candidates(document.text_before_cursor, names())
            for one in found:
                yield Completion(one.text, -len(begun), display_meta=one.kind)

    return KalamCompleter()
