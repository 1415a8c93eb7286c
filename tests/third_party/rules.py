"""Which queries are not taken over, each by a rule with a name. A rule looks at a query, its rows and its answer in
SQLite, never at what we would answer."""

from __future__ import annotations

import re

from tests.third_party.sqlite_tests import Asked, tokens

CHARACTERS_MAX = 1000

RULES: dict[str, str] = {
    "same": "the same query over the same rows stands in the script already: their loops turn knobs of SQLite",
    "sampled": "of a file with very many queries each so-and-so-manieth is taken, so that its script stays small",
    "long": f"a query of more than {CHARACTERS_MAX:,} characters",
    "large": "a table or an answer of more than 300 rows",
    "no-query": "PRAGMA and EXPLAIN",
    "variables": "the query has variables of the program around it",
    "own-words": "functions, operators and tables that only SQLite has: typeof, strftime, printf, rowid, "
    "sqlite_master, COLLATE, GLOB, MATCH, INDEXED BY, ~, names in [] or ``, …",
    "own-tables": "virtual tables, and those that SQLite keeps for itself",
    "collation": "a table of the query has a column with COLLATE",
    "generated-columns": "a table of the query has generated columns",
    "names": "a table or column is called as it could not be here: docs/sql.md says which names there are",
    "unwritable": "a text with what our scripts cannot hold: line breaks, blanks at its ends, infinity",
    "beyond-the-text": "the query asks for what a test file adds to SQLite (functions, collations), or for columns by "
    "names that only SQLite lets pass",
    "loose-types": "the answer, in SQLite itself, needs columns without a type or values of two types in one column; "
    "with types it is another one",
    "row-order": "the answer, in SQLite itself, changes when rows are stored in another order: LIMIT without ORDER "
    "BY, ties in ORDER BY … LIMIT, columns beside an aggregate",
    "null-order": "the answer, in SQLite itself, changes when NULL comes last, as it does here, where ORDER BY does "
    "not say NULLS FIRST or NULLS LAST. Where only the order of the rows changes the query is taken, and its rows are "
    "sorted",
    "like-without-case": "LIKE that does not mind upper and lower case",
}

_OWN_FUNCTIONS = (
    r"typeof|strftime|julianday|unixepoch|datetime|date|time|hex|unhex|quote|printf|format|zeroblob|randomblob|random|"
    r"total|group_concat|last_insert_rowid|changes|total_changes|likelihood|likely|unlikely|unicode|char|glob|iif|"
    r"soundex|load_extension|match|fts5|json\w*|percentile|decimal|mod|implies_nonnull_row|expr_compare|"
    r"expr_implies_expr|affinity"
)
_OWN_WORDS = re.compile(
    rf"\b(?:{_OWN_FUNCTIONS})\s*\(|\b(?:rowid|_rowid_|oid|collate|glob|match|regexp|indexed\s+by|not\s+indexed)\b"
    r"|\bsqlite_\w+|\bpragma_\w+|\b(?:main|temp|aux\d*)\.|~|\b0x[0-9a-f]+",
    re.I,
)


def rule_of_text(asked: Asked) -> str:
    """The rule that keeps a query out for its words, or nothing."""
    if asked.reason:
        return asked.reason
    parts = tokens(asked.sql)
    text = "".join("''" if part[0] == "'" else part for part in parts)
    if len(asked.sql) > CHARACTERS_MAX:
        return "long"
    if re.search(r"[?$@]|(?<!:):\w", text):
        return "variables"
    if _OWN_WORDS.search(text) or any(part[0] in "[`" for part in parts):
        return "own-words"
    return ""
