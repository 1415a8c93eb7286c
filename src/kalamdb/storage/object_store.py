"""A storage in a bucket: S3, Google Cloud Storage or Azure, through obstore.

obstore is an extra (`pip install kalamdb[cloud]`) and imported with the first such storage. Every request has a
time limit and is repeated a few times, so that nothing here takes longer than a minute to fail. What obstore's
errors say is never passed on: it can hold keys, signatures and whole answers. They are told by kind, status and the
storage's error code.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from kalamdb.errors import Error, NotSupportedError, StorageOutcomeUnknown, StorageUnavailable
from kalamdb.storage.backend import check_folder, check_path, conflict, missing, run_probe, unavailable

if TYPE_CHECKING:
    from kalamdb.storage.credentials import Credentials
    from kalamdb.storage.uri import StorageUri

REQUEST_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
RETRIES_MAX = 4
RETRY_TIMEOUT_S = 15.0
"""No repetition begins after this; one request has failed for good within 25 s."""
REPEAT_TIMEOUT_S = 8.0
"""No further attempt of ours begins after this; one is two requests at most, and so has failed within 50 s."""
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 3.0
"""Between the tries of a request, which wait twice as long each time, and not all alike."""
_PART_BYTES = 8 << 20
_PARTS_AT_ONCE = 4
_FILES_AT_ONCE = 8
_LISTED_AT_ONCE = 1000
_CODES = re.compile(r"<Code>([A-Za-z]{1,64})</Code>")
_STATUS = re.compile(r"(?:status(?: code)?:? |with status )\(?([1-5][0-9]{2})\b")
_CREDENTIAL_CODES = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "AuthenticationFailed"}
)
Answer = TypeVar("Answer")
Item = TypeVar("Item")


class ObjectStoreBackend:
    """Objects under a prefix of a bucket. The tag of a version is its ETag (and generation, where there is one)."""

    def __init__(
        self,
        storage_id: str,
        uri: StorageUri,
        credentials: Credentials | None,
        *,
        request_timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        """No request is made yet. Raises NotSupportedError where obstore is not installed, StorageUnavailable where it
        cannot work with these credentials."""
        self.storage_id = storage_id
        self._obstore: Any = _library(storage_id)
        self._store = _open_store(self._obstore, storage_id, uri, credentials, request_timeout_s)

    def write(self, path: str, data: bytes | memoryview) -> None:
        """See StorageBackend.write. Large files go in parts, which become the file all at once."""
        check_path(path)
        self._call(
            f"write {path}",
            lambda: self._obstore.put(
                self._store,
                path,
                data,
                use_multipart=len(data) > _PART_BYTES,
                chunk_size=_PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            ),
        )

    def write_all(self, files: Sequence[tuple[str, bytes]]) -> list[Error | None]:
        """See StorageBackend.write_all. One request each, several of them on their way at a time."""
        return _several(lambda file: self.write(*file), files)

    def read(self, path: str) -> bytes:
        """See StorageBackend.read."""
        return self._read(path)[0]

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """See StorageBackend.read_range. Large ranges come in parts, so that each is within the time of a request."""
        check_path(path)
        parts: list[bytes] = []
        at, end = offset, offset + length
        while at < end:
            wanted = min(_PART_BYTES, end - at)
            parts.append(self._read_part(path, at, wanted))
            if len(parts[-1]) < wanted:
                break
            at += wanted
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read_part(self, path: str, offset: int, length: int) -> bytes:
        def fetch() -> bytes:
            return bytes(self._obstore.get_range(self._store, path, start=offset, length=length))

        try:
            data = self._on_file(path, fetch)
            if len(data) == length:
                return data
        except StorageUnavailable:
            # A range behind the end is refused by the storage; whether it is behind the end, the size tells.
            if self.size(path) > offset:
                raise
            return b""
        if offset + len(data) != self.size(path):
            raise unavailable(self.storage_id, f"read {path}", "the answer was cut short")
        return data

    def size(self, path: str) -> int:
        """See StorageBackend.size."""
        check_path(path)

        def look() -> int:
            try:
                return int(self._obstore.head(self._store, path)["size"])
            except FileNotFoundError:
                # An answer to HEAD has no body to tell a missing object from a missing bucket.
                return int(self._obstore.get(self._store, path).meta["size"])

        return self._on_file(path, look)

    def read_tagged(self, path: str) -> tuple[bytes, str] | None:
        """See StorageBackend.read_tagged."""
        check_path(path)
        try:
            return self._call(f"read {path}", lambda: self._fetch(path))
        except FileNotFoundError:
            return None

    def read_tagged_all(self, paths: Sequence[str]) -> list[tuple[bytes, str] | Error | None]:
        """See StorageBackend.read_tagged_all, and write_all."""
        return _several(self.read_tagged, paths)

    def replace(self, path: str, data: bytes, expected: str | None) -> str:
        """See StorageBackend.replace.

        An answer that got lost says nothing about the object, and a repetition of our own request may meet what the
        first one stored: so after anything but a success the object itself is read, and our content in it is a
        success.
        """
        check_path(path)
        mode = "create" if expected is None else _version(expected)
        give_up_at = time.monotonic() + REPEAT_TIMEOUT_S
        while True:
            try:
                result = self._obstore.put(self._store, path, data, mode=mode, use_multipart=False)
                return _tag(result)
            except Exception as error:
                failure = error
            try:
                found = self.read_tagged(path)
            except StorageUnavailable as error:
                raise StorageOutcomeUnknown(
                    f"{error.message}; whether {path} was replaced is not known: read it again"
                ) from None
            if found is not None and found[0] == data:
                return found[1]
            if (None if found is None else found[1]) != expected:
                raise conflict(self.storage_id, path)
            if _is_final(failure):
                self._refuse(f"replace {path}", failure)
            if time.monotonic() > give_up_at:
                raise StorageOutcomeUnknown(
                    f'storage "{self.storage_id}" is unavailable: cannot replace {path}: {_reason(failure)}; '
                    "the request may still arrive: read it again before deciding"
                )

    def replace_all(self, files: Sequence[tuple[str, bytes, str | None]]) -> list[str | Error]:
        """See StorageBackend.replace_all, and write_all."""
        return _several(lambda file: self.replace(*file), files)

    def delete(self, path: str) -> None:
        """See StorageBackend.delete."""
        check_path(path)
        try:
            self._repeated(f"remove {path}", lambda: self._obstore.delete(self._store, path))
        except FileNotFoundError:
            return

    def list(self, folder: str = "") -> Iterator[str]:
        """See StorageBackend.list."""
        check_folder(folder)
        last: str | None = None

        def fetch() -> Sequence[str]:
            pages = self._obstore.list(
                self._store, prefix=folder or None, offset=last, chunk_size=_LISTED_AT_ONCE
            )
            return [str(found["path"]) for found in next(iter(pages), ())]

        while page := self._repeated(f"list {folder or 'its files'}", fetch):
            yield from page
            last = page[-1]

    def probe(self) -> None:
        """See StorageBackend.probe."""
        run_probe(self)

    def __repr__(self) -> str:
        return f"<ObjectStoreBackend {self.storage_id}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a storage's backend holds credentials and cannot be pickled")

    def _read(self, path: str) -> tuple[bytes, str]:
        check_path(path)
        return self._on_file(path, lambda: self._fetch(path))

    def _fetch(self, path: str) -> tuple[bytes, str]:
        result = self._obstore.get(self._store, path)
        size = result.meta["size"]
        # The body of a large file is not waited for here: one request has not the time for it.
        data = bytes(result.bytes()) if size <= _PART_BYTES else self.read_range(path, 0, size)
        if len(data) != size:
            raise unavailable(self.storage_id, f"read {path}", "the answer was cut short")
        return data, _tag(result.meta)

    def _on_file(self, path: str, function: Callable[[], Answer]) -> Answer:
        try:
            return self._call(f"read {path}", function)
        except FileNotFoundError:
            raise missing(self.storage_id, path) from None

    def _repeated(self, action: str, function: Callable[[], Answer]) -> Answer:
        """As _call, for what obstore does not repeat by itself and may be repeated."""
        give_up_at = time.monotonic() + REPEAT_TIMEOUT_S
        for _ in range(RETRIES_MAX):
            try:
                return self._call(action, function)
            except StorageUnavailable:
                if time.monotonic() > give_up_at:
                    raise
        return self._call(action, function)

    def _call(self, action: str, function: Callable[[], Answer]) -> Answer:
        """Raises StorageUnavailable, and FileNotFoundError where the bucket is there and the object is not."""
        try:
            return function()
        except StorageUnavailable:
            raise
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error) or "ContainerNotFound" in str(error):
                self._refuse(action, error)
            raise FileNotFoundError(action) from None
        except Exception as error:
            failure = error
        self._refuse(action, failure)

    def _refuse(self, action: str, error: Exception) -> NoReturn:
        raise unavailable(self.storage_id, action, _reason(error)) from None


def _several(work: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer | Error]:
    """What the work gives of each, or the error that it raised."""

    def tried(item: Item) -> Answer | Error:
        try:
            return work(item)
        except Error as error:
            return error

    if len(items) < 2:
        return [tried(item) for item in items]
    with ThreadPoolExecutor(_FILES_AT_ONCE, "kalamdb-storage") as pool:
        return list(pool.map(tried, items))


def _library(storage_id: str) -> Any:
    try:
        import obstore
        import obstore.exceptions
        import obstore.store
    except ImportError:
        raise NotSupportedError(
            f'storage "{storage_id}" is in a bucket, which needs obstore; install it with: pip install kalamdb[cloud]'
        ) from None
    return obstore


def _open_store(
    obstore: Any, storage_id: str, uri: StorageUri, credentials: Credentials | None, request_timeout_s: float
) -> Any:
    given: Mapping[str, Any] = {} if credentials is None else credentials.values
    client = {
        "timeout": timedelta(seconds=request_timeout_s),
        "connect_timeout": timedelta(seconds=min(CONNECT_TIMEOUT_S, request_timeout_s)),
        "allow_http": bool(given.get("allow_http", False)),
    }
    retry = {
        "max_retries": RETRIES_MAX,
        "retry_timeout": timedelta(seconds=RETRY_TIMEOUT_S),
        "backoff": {
            "init_backoff": timedelta(seconds=FIRST_WAIT_S),
            "max_backoff": timedelta(seconds=LONGEST_WAIT_S),
            "base": 2,
        },
    }
    kind, names = _KINDS[uri.type]
    config = {ours: given[key] for key, ours in names.items() if key in given}
    if uri.type == "s3":
        # One request an object: the one for many is not offered by every storage that speaks S3.
        config["disable_bulk_delete"] = True
    try:
        return getattr(obstore.store, kind)(
            uri.bucket, prefix=uri.prefix or None, config=config, client_options=client, retry_config=retry
        )
    except Exception as error:
        failure = type(error).__name__
    raise unavailable(storage_id, "open it", f"its credentials or URI were not understood ({failure})")


_KINDS = {
    "s3": (
        "S3Store",
        {
            "access_key_id": "access_key_id",
            "secret_access_key": "secret_access_key",
            "session_token": "session_token",
            "region": "region",
            "endpoint": "endpoint",
        },
    ),
    "gcs": (
        "GCSStore",
        {
            "secret_access_key": "service_account_key",
            "session_token": "bearer_token",
            "endpoint": "base_url",
        },
    ),
    "azure": (
        "AzureStore",
        {
            "access_key_id": "account_name",
            "secret_access_key": "account_key",
            "session_token": "token",
            "endpoint": "endpoint",
        },
    ),
}
"""By type: obstore's class, and what it calls our credentials."""


def _tag(meta: Mapping[str, Any]) -> str:
    return f"{meta.get('e_tag') or ''}\n{meta.get('version') or ''}"


def _version(tag: str) -> dict[str, str]:
    e_tag, _, version = tag.partition("\n")
    return {name: value for name, value in (("e_tag", e_tag), ("version", version)) if value}


def _is_final(error: Exception) -> bool:
    """Whether the same request cannot succeed later."""
    return type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError", "InvalidPathError")


def _reason(error: BaseException) -> str:
    """Why, in words of ours. What an error of obstore's says is looked at, and nothing but codes is taken from it."""
    text = str(error)
    code = match[1] if (match := _CODES.search(text)) else None
    status = match[1] if (match := _STATUS.search(text)) else None
    kind = type(error).__name__
    if kind == "UnauthenticatedError" or code in _CREDENTIAL_CODES:
        reason = "its credentials were refused"
    elif kind == "PermissionDeniedError":
        reason = "its credentials do not permit it"
    elif code in ("NoSuchBucket", "ContainerNotFound"):
        reason = "the bucket does not exist"
    elif "operation timed out" in text or "TimedOut" in text or "timed out" in text:
        reason = "it did not answer in time"
    elif "dns error" in text or "failed to lookup" in text:
        reason = "its address was not found"
    elif status is not None:
        reason = "it answered with an error"
    elif "Connect" in text or "onnection" in text or "tcp connect" in text:
        reason = "the connection failed"
    elif (
        "IncompleteMessage" in text
        or "body error" in text
        or "error decoding response body" in text
        or "end of file" in text
    ):
        reason = "the answer was cut short"
    else:
        reason = f"the request failed ({kind})"
    details = ", ".join(part for part in (f"status {status}" if status else "", code or "") if part)
    return f"{reason} ({details})" if details else reason
