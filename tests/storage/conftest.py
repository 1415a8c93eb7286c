"""What the tests of storages share: each kind of storage, empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kalamcore.system import FileSystem
from kalamdb.storage.credentials import parse_credentials
from kalamdb.storage.filesystem import FilesystemBackend
from kalamdb.storage.uri import parse_uri
from tests.storage.s3_server import FaultProxy, MotoServer, credentials, moto_server, new_bucket

if TYPE_CHECKING:
    from kalamdb.storage import StorageBackend
    from kalamdb.storage.object_store import ObjectStoreBackend


@pytest.fixture
def memory() -> FileSystem:
    """A file system that can fail and lose power."""
    return FileSystem.memory()


@pytest.fixture(scope="session")
def s3() -> Iterator[MotoServer]:
    """An S3 server on loopback."""
    with moto_server() as server:
        yield server


@pytest.fixture
def proxy(s3: MotoServer) -> Iterator[FaultProxy]:
    """The way to it that can break."""
    with FaultProxy(s3) as proxy:
        yield proxy


@pytest.fixture
def bucket(s3: MotoServer) -> str:
    """An empty bucket."""
    return new_bucket(s3)


@pytest.fixture
def store(proxy: FaultProxy, bucket: str, monkeypatch: pytest.MonkeyPatch) -> ObjectStoreBackend:
    """A storage in that bucket, behind the proxy. It is in a hurry: there is no crowd to be kind to."""
    from kalamdb.storage.object_store import ObjectStoreBackend

    monkeypatch.setattr("kalamdb.storage.object_store.FIRST_WAIT_S", 0.01)
    given = parse_credentials(credentials(proxy.url), "s3")
    return ObjectStoreBackend("s", parse_uri("s3", f"s3://{bucket}/data"), given, request_timeout_s=2)


@pytest.fixture(params=["posix", "memory", "s3"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> StorageBackend:
    """A storage of each kind."""
    if request.param == "posix":
        return FilesystemBackend("s", FileSystem.posix(), str(tmp_path / "store"))
    if request.param == "memory":
        return FilesystemBackend("s", request.getfixturevalue("memory"), "/db/cold")
    return request.getfixturevalue("store")
