"""BACKUP, RESTORE, EXPORT and ERASE: read by the grammar, and not offered yet."""

import pytest

from kalamdb.sql import parser
from kalamdb.sql.backup import Backup, EraseUserData, ExportUserData, Restore


@pytest.fixture
def read_early(monkeypatch):
    """Reads what is not offered yet."""
    monkeypatch.setattr(parser, "check_available", lambda tokens: None)

    def statement(sql):
        return parser.parse(parser.scan_statement(sql), sql, parser.StatementCache()).statement

    return statement


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
def test_reads(read_early, sql, statement):
    assert read_early(sql) == statement
