"""STORAGE CHECK against a real S3, through SQL."""

from __future__ import annotations

import pytest

import kalamdb
from kalamdb.errors import StorageUnavailable
from tests.storage.s3_server import ACCESS_KEY, SECRET_KEY, credentials, object_names


def test_a_bucket_is_checked_and_nothing_is_left_in_it(db: kalamdb.Database, proxy, s3, bucket):
    db.execute(f"CREATE STORAGE s TYPE s3 URI 's3://{bucket}/data' CREDENTIALS '{credentials(proxy.url)}'")

    assert db.execute("STORAGE CHECK s").fetchall() == [("s", "s3", "ok")]
    assert object_names(s3, bucket) == []
    assert all(path.startswith(f"/{bucket}/data/kalam-probe-") for _, path in proxy.requests)


@pytest.mark.parametrize("fault", ["500", "503", "429", "reset"])
def test_a_bucket_that_does_not_work_says_why_and_shows_no_key(db, proxy, bucket, fault):
    db.execute(f"CREATE STORAGE s TYPE s3 URI 's3://{bucket}/data' CREDENTIALS '{credentials(proxy.url)}'")
    proxy.fail(fault, times=1000)

    with pytest.raises(StorageUnavailable, match='storage "s" is unavailable: cannot ') as caught:
        db.execute("STORAGE CHECK s")
    assert ACCESS_KEY not in str(caught.value)
    assert SECRET_KEY not in str(caught.value)
    proxy.forgive()
    db.execute("STORAGE CHECK s")
