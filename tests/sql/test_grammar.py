"""The grammar and the classes that answer it belong together."""

import subprocess
import sys

from kalamdb.sql.grammar import grammar, grammar_text


def test_every_rule_has_its_method():
    parser, rules = grammar().parser, grammar().rules
    names = {
        rule.alias or rule.origin.name for rule in parser.rules if not rule.options.expand1 or rule.alias
    }
    missing = {name for name in names if not name.startswith("_") and not hasattr(rules, name)}

    assert missing == set()


def test_every_chapter_opens_with_a_sentence():
    from importlib.resources import files

    chapters = [
        chapter for chapter in (files("kalamdb") / "grammar").iterdir() if chapter.name.endswith(".lark")
    ]

    assert len(chapters) == 13
    for chapter in chapters:
        first = chapter.read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith("// "), chapter.name
        assert first.endswith("."), chapter.name


def test_the_grammar_has_no_conflicts():
    import logging

    import lark

    from kalamdb.sql.lexer import StatementLexer

    messages = []

    class Listener(logging.Handler):
        def emit(self, record):
            messages.append(record.getMessage())

    listener = Listener()
    level = lark.logger.level
    lark.logger.addHandler(listener)
    lark.logger.setLevel(logging.DEBUG)
    try:
        lark.Lark(
            grammar_text(), parser="lalr", lexer=StatementLexer, start=["statement", "condition"], debug=True
        )
    finally:
        lark.logger.removeHandler(listener)
        lark.logger.setLevel(level)

    assert [message for message in messages if "onflict" in message] == []


def test_importing_the_dialect_does_not_import_the_parser_generator():
    code = "import sys, kalamdb.sql.parser; print('lark' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "False"
