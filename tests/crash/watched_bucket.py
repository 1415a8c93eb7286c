"""A bucket that remembers what was in it before each request of a database, and how much the disk had by then.

It is a real S3 over HTTP on loopback (moto). What it has when the process dies stays there, whatever the machine's own
disk loses: so a crash is a moment's objects put back, and a disk of that moment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from kalamcore.system import FileSystem
from kalamdb.storage import object_store
from kalamdb.storage.credentials import parse_credentials
from kalamdb.storage.uri import parse_uri
from tests.crash.failures import Figures
from tests.crash.power_loss import LOSSES
from tests.storage.s3_server import MotoServer, credentials, new_bucket, unfinished_uploads

REQUESTS = ("put", "get", "get_range", "head", "delete", "list")

Objects = dict[str, bytes]


@dataclass
class Moment:
    """Before a request, or after the last one. `recorded`: how much the machine's own disk had by then."""

    request: str
    recorded: int
    objects: Objects


class Watched:
    """obstore, told of before each request."""

    def __init__(self, library: Any, before: Callable[[str], None]) -> None:
        self._library, self._before = library, before

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._library, name)
        if name not in REQUESTS:
            return found

        def watched(store: Any, *arguments: Any, **named: Any) -> Any:
            path = arguments[0] if arguments else named.get("prefix")
            self._before(f"{name} {path}")
            return found(store, *arguments, **named)

        return watched


class WatchedBucket:
    """One bucket of its own, and the disk of the machine whose database uses it."""

    def __init__(self, server: MotoServer) -> None:
        self.files = FileSystem.memory()
        self.moments: list[Moment] = []
        self._server = server
        self._name = new_bucket(server)
        self._credentials = credentials(server.url)
        self._watching = False
        self._contents: dict[str, bytes] = {}
        # The way into the bucket that nobody watches.
        self._outside = object_store.ObjectStoreBackend(
            "outside", parse_uri("s3", self.uri()), parse_credentials(self._credentials, "s3")
        )

    def uri(self, folder: str = "") -> str:
        return f"s3://{self._name}/{folder}"

    def place(self, folder: str) -> str:
        """What CREATE STORAGE says of it."""
        return f"TYPE s3 URI '{self.uri(folder)}' CREDENTIALS '{self._credentials}'"

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Storages that are opened within are watched; moments are kept between begin() and end()."""
        library = object_store._library
        with mock.patch.object(object_store, "_library", lambda name: Watched(library(name), self._note)):
            yield

    def begin(self) -> None:
        """Now is a moment, and then each request. REQUIRES: the disk records, and has recorded something."""
        self._watching = True
        self._note("the beginning")

    def end(self) -> None:
        """The last moment is now."""
        self._note("the end")
        self._watching = False

    def _note(self, request: str) -> None:
        if self._watching:
            self.moments.append(Moment(request, self.files.recorded(), self.objects()))

    def objects(self) -> Objects:
        """What is in the bucket. What had the same tag before is not read again."""
        found = {}
        for name, tag in self._tags().items():
            if tag not in self._contents:
                self._contents[tag] = self._outside.read(name)
            found[name] = self._contents[tag]
        return found

    def _tags(self) -> dict[str, str]:
        """The MD5 of each object, as this server has it for a tag."""
        pages = self._outside._obstore.list(self._outside._store)
        return {found["path"]: str(found["e_tag"]).strip('"') for page in pages for found in page}

    def names(self, folder: str) -> list[str]:
        """Of the objects below a folder."""
        return list(self._outside.list(folder))

    def put_back(self, objects: Objects) -> None:
        """The bucket as it was."""
        there = self._tags()
        for name in there.keys() - objects.keys():
            self._outside.delete(name)
        for name, content in objects.items():
            if there.get(name) != hashlib.md5(content, usedforsecurity=False).hexdigest():
                self._outside.write(name, content)

    def unfinished(self) -> str:
        """What is wrong with uploads in parts."""
        unfinished = unfinished_uploads(self._server, self._name)
        return "an upload in parts was left unfinished" if unfinished else ""

    def come_back(
        self,
        moment: Moment,
        loss: str,
        seed: int,
        what: str,
        check: Callable[[FileSystem], str],
        figures: Figures,
    ) -> None:
        """The process dies at a moment, and with another loss than `none` the power is cut: `check` says what is wrong
        with the disk that is found."""
        figures.tried += 1
        figures.outcomes["killed" if loss == "none" else "power cut"] += 1
        self.put_back(moment.objects)
        trouble = check(self.files.crash(loss, seed, after=moment.recorded - 1)) or self.unfinished()
        if trouble:
            figures.find(f"{what}, before {moment.request}, loss {loss} {seed}: {trouble}")


def crashes(moments: list[Moment], number: int, every: int) -> Iterator[tuple[int, Moment, str, int]]:
    """(place, moment, loss, seed): a kill at every `every`-th moment, and a power cut, too, at every third of those,
    with one loss by turns. `number`: where the counting goes on."""
    for at, moment in enumerate(moments):
        number += 1
        if number % every == 0:
            yield at, moment, "none", number
        if number % (3 * every) == 0:
            yield at, moment, LOSSES[1 + number // (3 * every) % (len(LOSSES) - 1)], number
