"""BACKUP, RESTORE, EXPORT and ERASE: read by the grammar."""

import pytest

from kalamdb.sql import parser
from kalamdb.sql.backup import Backup, EraseUserData, ExportUserData, Restore


@pytest.mark.parametrize(
    ("sql", "statement"),
    [
        ("BACKUP DATABASE TO 's3://b/c'", Backup("s3://b/c")),
        ("backup namespace app to '/x'", Backup("/x", "app")),
        ("RESTORE DATABASE FROM '/x'", Restore("/x")),
        ("RESTORE NAMESPACE app FROM '/x'", Restore("/x", "app")),
        ("EXPORT USER DATA FOR 'Alice B.' TO '/x'", ExportUserData("Alice B.", "/x")),
        ("EXPORT USER DATA FOR alice TO '/x'", ExportUserData("alice", "/x")),
        ("ERASE USER DATA FOR 'alice'", EraseUserData("alice")),
    ],
)
def test_reads(sql, statement):
    assert parser.parse(parser.scan_statement(sql), sql, parser.StatementCache()).statement == statement


def test_two_that_differ_in_their_text_alone_are_two_statements():
    cache = parser.StatementCache()
    read = [
        parser.parse(parser.scan_statement(sql), sql, cache).statement
        for sql in ("ERASE USER DATA FOR 'alice'", "ERASE USER DATA FOR 'bob'")
    ]

    assert read == [EraseUserData("alice"), EraseUserData("bob")]
