"""Colours of SQL while it is typed, from the words that the grammar has."""

from __future__ import annotations

from typing import Any, ClassVar

from pygments.lexer import RegexLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Text, Whitespace

from kalamdb.sql.words import function_words, keywords, type_words


def _word(lexer: Any, match: Any) -> Any:
    word = match[0].lower()
    if word in type_words():
        kind = Keyword.Type
    elif word in keywords():
        kind = Keyword
    elif word in _FUNCTIONS:
        kind = Name.Function
    else:
        kind = Name
    yield match.start(), kind, match[0]


_FUNCTIONS = frozenset(function_words())


class KalamLexer(RegexLexer):  # type: ignore[misc]
    """The dialect, as far as colours need it."""

    name = "kalamdb SQL"
    aliases: ClassVar[list[str]] = ["kalam"]
    tokens: ClassVar[dict[str, Any]] = {
        "root": [
            (r"^\\\S+.*$", Name.Builtin),
            (r"\s+", Whitespace),
            (r"--.*?$", Comment.Single),
            (r"/\*", Comment.Multiline, "comment"),
            (r"[xX]?'(?:''|[^'])*'?", String.Single),
            (r'"(?:""|[^"])*"?', Name.Variable),
            (r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", Number),
            (r"[^\W\d]\w*", _word),
            (r"[?$]\d*", Name.Variable),
            (r"[-+*/%<>=!|&~^:]+", Operator),
            (r"[()\[\],;.]", Punctuation),
            (r".", Text),
        ],
        "comment": [
            (r"/\*", Comment.Multiline, "#push"),
            (r"\*/", Comment.Multiline, "#pop"),
            (r"[^*/]+|[*/]", Comment.Multiline),
        ],
    }
