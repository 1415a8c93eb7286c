"""URIs of storages: what they can be, and what of them is kept."""

from __future__ import annotations

import pytest

from kalamdb.errors import InvalidDefinition
from kalamdb.storage.uri import is_within, parse_uri


@pytest.mark.parametrize(
    ("type", "given", "kept"),
    [
        ("filesystem", "/srv/kalam", "/srv/kalam"),
        ("filesystem", "/srv/kalam/", "/srv/kalam"),
        ("filesystem", "file:///srv/kalam", "/srv/kalam"),
        ("filesystem", "FILE://localhost/srv/a%20b", "/srv/a b"),
        ("filesystem", "archive/old", "archive/old"),
        ("filesystem", "/srv/Ordner für alles", "/srv/Ordner für alles"),
        ("s3", "s3://my-bucket", "s3://my-bucket"),
        ("s3", "S3://my-bucket/data/", "s3://my-bucket/data"),
        ("s3", "s3://my-bucket/a/b=1", "s3://my-bucket/a/b=1"),
        ("gcs", "gs://bucket_1/x", "gs://bucket_1/x"),
        ("azure", "az://container/x", "az://container/x"),
    ],
)
def test_a_uri_is_kept_in_one_form(type, given, kept):
    assert parse_uri(type, given).text == kept


@pytest.mark.parametrize(
    ("type", "given", "message"),
    [
        ("filesystem", "", "1 to 1024"),
        ("filesystem", "/", "names a directory"),
        ("filesystem", "..", "no empty segments"),
        ("filesystem", "../elsewhere", "no empty segments"),
        ("filesystem", "/srv/../etc", "no empty segments"),
        ("filesystem", "file:///srv/%2e%2e/etc", "no empty segments"),
        ("filesystem", "/srv//x", "no empty segments"),
        ("filesystem", "./x", "no empty segments"),
        ("filesystem", "/srv/x\0y", "control characters"),
        ("filesystem", "file:///srv/%00", "control characters"),
        ("filesystem", "/srv\\x", "backslash"),
        ("filesystem", "/srv/ x", "blanks"),
        ("filesystem", "/" + "x" * 256, "255 bytes"),
        ("filesystem", "file://host/x", "this machine"),
        ("filesystem", "file:/srv", "file:///path"),
        ("filesystem", "file:///a?b", "%3F"),
        ("filesystem", "wal", "belongs to the database"),
        ("filesystem", "WAL/x", "belongs to the database"),
        ("filesystem", "master.key", "belongs to the database"),
        ("filesystem", "cold", "belongs to the database"),
        ("filesystem", "s3://bucket/x", "s3:// is of TYPE s3"),
        ("filesystem", "http://host/x", "absolute or relative path"),
        ("s3", "/srv/kalam", "s3://bucket/prefix"),
        ("s3", "gs://bucket", "gs:// is of TYPE gcs"),
        ("s3", "file:///x", "file:// is of TYPE filesystem"),
        ("s3", "s3://", "names a bucket"),
        ("s3", "s3:///x", "names a bucket"),
        ("s3", "s3://Bucket/x", "lower-case"),
        ("s3", "s3://b/x", "names a bucket"),
        ("s3", "s3://my-bucket/../x", "no empty segments"),
        ("s3", "s3://my-bucket/a//b", "no empty segments"),
        ("s3", "s3://my-bucket/%2e%2e", "ASCII"),
        ("s3", "s3://my-bucket/x?y=1", "ASCII"),
        ("gcs", "gs://my-bucket/é", "ASCII"),
    ],
)
def test_a_uri_that_cannot_be_says_what_can(type, given, message):
    with pytest.raises(InvalidDefinition, match=message):
        parse_uri(type, given)


def test_a_password_in_a_uri_is_refused_and_not_repeated():
    with pytest.raises(InvalidDefinition, match="give them as CREDENTIALS") as caught:
        parse_uri("s3", "s3://key:hunter2@my-bucket/x")

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("type", "one", "other", "overlap"),
    [
        ("s3", "s3://bucket/a", "s3://bucket/a", True),
        ("s3", "s3://bucket", "s3://bucket/a", True),
        ("s3", "s3://bucket/a/b", "s3://bucket/a", True),
        ("s3", "s3://bucket/a", "s3://bucket/ab", False),
        ("s3", "s3://bucket/a", "s3://other/a", False),
        ("filesystem", "/srv/a", "/srv/a/b", True),
        ("filesystem", "/srv/a", "srv/a", False),
        ("filesystem", "x", "x/y", True),
    ],
)
def test_storages_in_each_other_are_known(type, one, other, overlap):
    assert parse_uri(type, one).overlaps(parse_uri(type, other)) is overlap
    assert parse_uri(type, other).overlaps(parse_uri(type, one)) is overlap


def test_a_directory_holds_what_lies_in_it_alone():
    assert is_within("/srv/a/b", "/srv/a")
    assert is_within("/srv/a", "/srv/a")
    assert not is_within("/srv/ab", "/srv/a")
