# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""The write-ahead log, for tests and tools; the engine uses it inside the store."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libcpp.utility cimport move
from libcpp.vector cimport vector

from kalamcore.system cimport CppFileSystem, CppRandomSource, FileSystem, RandomSource, system_random

import os

cdef extern from *:
    """
    #include "wal.hpp"
    namespace kalam {
    struct SeenRecord {
        int type;
        std::uint64_t lsn;
        std::string payload;
    };
    inline std::unique_ptr<Log> open_log(
        const std::shared_ptr<FileSystem>& files, const std::string& directory, std::uint64_t file_bytes,
        const std::shared_ptr<RandomSource>& random, std::vector<SeenRecord>& seen, LogRecovery& recovery) {
        LogOptions options;
        options.file_bytes = file_bytes;
        const auto visit = [&seen](RecordType type, std::uint64_t lsn, std::string_view payload) {
            seen.push_back({static_cast<int>(type), lsn, std::string(payload)});
        };
        return Log::open(files, directory, options, random, visit, recovery);
    }
    }
    """
    cdef cppclass SeenRecord "kalam::SeenRecord":
        int type
        uint64_t lsn
        string payload
    unique_ptr[CppLog] open_log "kalam::open_log"(
        const shared_ptr[CppFileSystem]& files, const string& directory, uint64_t file_bytes,
        const shared_ptr[CppRandomSource]& random, vector[SeenRecord]& seen, CppLogRecovery& recovery
    ) except +raise_core_error nogil


COMMIT = 1
ID_LEASE = 2
CLEAN_CLOSE = 3


@cython.final
cdef class Log:
    """Every record, in order, in preallocated and recycled files of a directory that exists."""

    def __init__(self, FileSystem files not None, str directory not None, *, uint64_t file_bytes=67108864,
                 RandomSource random=None):
        cdef string name = os.fsencode(directory)
        cdef shared_ptr[CppRandomSource] source = system_random() if random is None else random.source
        cdef vector[SeenRecord] seen
        cdef SeenRecord* record
        cdef size_t index
        if self.log.get() != NULL:
            raise TypeError("this log is open already")
        with nogil:
            self.log = move(open_log(files.files, name, file_bytes, source, seen, self.found))
        self.seen = []
        for index in range(seen.size()):
            record = &seen[index]
            self.seen.append((record.type, record.lsn,
                              PyBytes_FromStringAndSize(record.payload.data(), record.payload.size())))

    cdef CppLog* opened(self) except NULL:
        if self.log.get() == NULL:
            raise TypeError("this log was not opened")
        return self.log.get()

    @property
    def records(self):
        """(type, log sequence number, payload) of every record that was read at open."""
        return self.seen

    @property
    def recovery(self):
        """records, last_lsn, torn_bytes, torn_file, kept_as."""
        return {
            "records": self.found.records,
            "last_lsn": self.found.last_lsn,
            "torn_bytes": self.found.torn_bytes,
            "torn_file": self.found.torn_file.decode(),
            "kept_as": self.found.kept_as.decode(),
        }

    def append(self, uint8_t type, bytes payload not None, *, cpp_bool frees=False):
        """Adds a record to the buffer and returns its number; nothing is written yet."""
        return self.opened().append(
            <CppRecordType>type, string_view(), string_view(PyBytes_AS_STRING(payload), len(payload)),
            <uint64_t>-1, frees
        )

    def flush(self, uint64_t lsn, cpp_bool sync=True):
        """Returns once the record and all before it are with the OS, with `sync` on the disk."""
        cdef CppLog* log = self.opened()
        with nogil:
            log.flush(lsn, sync)

    def release(self, uint64_t lsn):
        """Records up to `lsn` are no longer needed: files that hold nothing else are recycled or removed."""
        cdef CppLog* log = self.opened()
        with nogil:
            log.release(lsn)

    @property
    def last(self):
        """The number of the last record."""
        return self.opened().last()

    @property
    def written(self):
        """Everything up to here is with the OS."""
        return self.opened().written()

    @property
    def durable(self):
        """Everything up to here is on the disk."""
        return self.opened().durable()

    @property
    def bytes(self):
        """Bytes of the log's files up to their last records."""
        return self.opened().bytes()

    def close(self):
        """Flushes, marks the end as clean and closes; no error if that has happened."""
        cdef CppLog* log = self.opened()
        with nogil:
            log.close()


cdef tuple KINDS = ("damage", "torn", "kept")


def survey(FileSystem files not None, str directory not None, *, cpp_bool repair=False):
    """What is wrong with a log that nobody writes to, and what a repair keeps and drops; with `repair`, do it."""
    cdef string name = os.fsencode(directory)
    cdef CppLogSurvey found
    cdef CppLogFinding* finding
    cdef size_t index
    with nogil:
        found = survey_log(files.files.get()[0], name)
        if repair:
            repair_log(files.files.get()[0], name, found)
    findings = []
    for index in range(found.findings.size()):
        finding = &found.findings[index]
        findings.append((KINDS[<int>finding.kind], os.fsdecode(<bytes>finding.file), finding.offset, finding.lsn,
                         (<bytes>finding.what).decode("utf-8", "replace")))
    return {
        "findings": findings,
        "kept_records": found.kept_records,
        "kept_first_lsn": found.kept_first_lsn,
        "kept_lsn": found.kept_lsn,
        "dropped_records": found.dropped_records,
        "dropped_bytes": found.dropped_bytes,
    }


def crc32c(bytes data not None):
    """The checksum of the log's bytes, by the processor's instruction where it has one."""
    return crc32c_of(string_view(PyBytes_AS_STRING(data), len(data)))


def crc32c_by_table(bytes data not None):
    """The same without the instruction."""
    return crc32c_extend_by_table(0, string_view(PyBytes_AS_STRING(data), len(data)))
