"""Many small partitions written together: their segments in one go, their manifests in another, which takes a few syncs
where one after the other takes several each. While one group waits for the disk, the next is made ready.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from kalamdb.engine.cold.places import ColdPlace
from kalamdb.engine.cold.tier import ColdTier
from kalamdb.engine.jobs import JobContext
from kalamdb.engine.segments import Commit, Found, Manifest, SegmentInfo, commit_all, require_own
from kalamdb.errors import Error, StorageConflict, StorageOutcomeUnknown

SMALL_ROWS = 4096
"""Partitions of no more rows are written many at a time."""
GROUP_PARTITIONS = 64
GROUP_ROWS = 8 * SMALL_ROWS
"""Of partitions that are written together."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A partition's new segments, which no storage has yet."""

    place: ColdPlace
    found: Found
    segments: list[tuple[SegmentInfo, bytes]]

    @property
    def infos(self) -> list[SegmentInfo]:
        """What a manifest is to say of them."""
        return [info for info, _ in self.segments]


class Work(Protocol):
    """What is done to each partition; by another thread than the one that makes the next group ready."""

    @property
    def tier(self) -> ColdTier:
        """The partitions'."""

    def ready(self, place: ColdPlace, found: Found) -> Ready | None:
        """Its new segments, given what stands in the place of its manifest; None: there is nothing to be done."""

    def following(self, ready: Ready) -> Manifest | None:
        """The manifest that is to follow what was found; None: none is to."""

    def committed(self, ready: Ready, found: Found) -> ColdPlace:
        """Its new place, now that this manifest stands there."""

    def overtaken(self, ready: Ready, failure: Error) -> ColdPlace | None:
        """The same where another manifest came first, or nobody knows whether ours came; None: nothing was to be done
        any more. Raises Error, `failure` where nothing better is known."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """What became of a group: those that are done, and the first failure of another."""

    places: list[ColdPlace]
    failure: Error | None


def small_and_large(
    tier: ColdTier, sized: Iterable[tuple[ColdPlace, int]]
) -> tuple[list[list[ColdPlace]], list[ColdPlace]]:
    """Places with their numbers of rows as groups of small ones, of one storage each, and those to be done alone,
    which take memory."""
    every = list(sized)
    small = [(place, rows) for place, rows in every if rows <= SMALL_ROWS]
    if len(small) < tier.together_min:
        return [], [place for place, _ in every]
    return list(_groups(small)), [place for place, rows in every if rows > SMALL_ROWS]


def _groups(sized: Iterable[tuple[ColdPlace, int]]) -> Iterator[list[ColdPlace]]:
    by_storage = sorted(sized, key=lambda one: one[0].storage_id)
    for _, some in itertools.groupby(by_storage, key=lambda one: one[0].storage_id):
        group: list[ColdPlace] = []
        group_rows = 0
        for place, rows in some:
            if group and (len(group) == GROUP_PARTITIONS or group_rows + rows > GROUP_ROWS):
                yield group
                group, group_rows = [], 0
            group.append(place)
            group_rows += rows
        yield group


def work_in_groups(
    work: Work, groups: Iterable[Sequence[ColdPlace]], context: JobContext
) -> Iterator[list[ColdPlace]]:
    """The new places of each group, once its manifests are committed.

    Whatever fails, or ends the job, what was begun is ended, and given, before that is raised.
    """
    failure: Exception | None = None
    with ThreadPoolExecutor(1, "kalamdb-cold") as pool:
        written: Future[_Ended] | None = None
        for group in groups:
            ready, unready = _made_ready(work, group, context)
            if written is not None:
                ended = written.result()
                yield ended.places
                failure = ended.failure
                if failure is not None:
                    # What was made ready for a storage that fails is nothing yet.
                    break
            written = pool.submit(_write_group, work, ready)
            if unready is not None:
                break
        else:
            unready = None
        if failure is None and written is not None:
            ended = written.result()
            yield ended.places
            failure = ended.failure or unready
    if failure is not None:
        raise failure


def _made_ready(
    work: Work, group: Sequence[ColdPlace], context: JobContext
) -> tuple[list[Ready], Exception | None]:
    """Those of the group that could be, and why the others were not."""
    ready: list[Ready] = []
    try:
        for place, found in zip(group, work.tier.require_manifests(group), strict=True):
            context.check()
            if isinstance(found, Error):
                raise found
            require_own(place.folder, found)
            one = work.ready(place, found)
            if one is not None:
                ready.append(one)
    except Exception as error:
        return ready, error
    return ready, None


def _write_group(work: Work, group: Sequence[Ready]) -> _Ended:
    """Write all segments of some partitions of the same storage, and then commit the manifests of those that are whole.
    What goes wrong with one of them is no other's concern."""
    ended: list[ColdPlace] = []
    failures: list[Error] = []
    if not group:
        return _Ended(ended, None)
    backend = work.tier.backend(group[0].place.storage_id)
    with work.tier.gate.passed():
        answers = iter(
            backend.write_all(
                [(f"{one.place.folder}/{info.file}", data) for one in group for info, data in one.segments]
            )
        )
        commits: list[tuple[Ready, Manifest]] = []
        for one in group:
            failed = [error for error in itertools.islice(answers, len(one.segments)) if error is not None]
            failures += failed
            new = None if failed else work.following(one)
            if new is not None:
                commits.append((one, new))
        answered = commit_all(backend, [Commit(one.place.folder, one.found, new) for one, new in commits])
        for (one, _), answer in zip(commits, answered, strict=True):
            if isinstance(answer, Found):
                ended.append(work.committed(one, answer))
                continue
            if not isinstance(answer, (StorageConflict, StorageOutcomeUnknown)):
                failures.append(answer)
                continue
            try:
                place = work.overtaken(one, answer)
            except Error as error:
                failures.append(error)
            else:
                ended += [] if place is None else [place]
    return _Ended(ended, failures[0] if failures else None)


def committed_place(tier: ColdTier, place: ColdPlace, found: Found) -> ColdPlace:
    """The place as a manifest that was committed has it; reads go by that once the core is told."""
    manifest = found.manifest
    assert manifest is not None
    ended = ColdPlace(
        place.table_id,
        place.partition,
        place.storage_id,
        place.folder,
        generation=manifest.generation,
        watermark=manifest.watermark,
        segments=len(manifest.segments),
        rows=sum(info.rows for info in manifest.segments),
        bytes=sum(info.size_bytes for info in manifest.segments),
    )
    tier.remember(ended, found)
    return ended
