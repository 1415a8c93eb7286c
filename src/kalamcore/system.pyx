# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""Files, clock and randomness: everything the core asks of the machine."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.operator cimport dereference
from libcpp.utility cimport move, pair

import os

from kalamcore.errors import IoError

cdef extern from "huge_pages.hpp" namespace "kalam":
    void cpp_release_free_memory "kalam::release_free_memory"() noexcept nogil

cdef extern from *:
    """
    #include "clock.hpp"
    #include "memory_file_system.hpp"
    namespace kalam {
    inline std::shared_ptr<MemoryFileSystem> new_memory_file_system() {
        return std::make_shared<MemoryFileSystem>();
    }
    inline std::shared_ptr<FileSystem> as_file_system(const std::shared_ptr<MemoryFileSystem>& files) {
        return files;
    }
    inline std::shared_ptr<ManualClock> new_manual_clock(std::int64_t now_us) {
        return std::make_shared<ManualClock>(now_us);
    }
    inline std::shared_ptr<Clock> as_clock(const std::shared_ptr<ManualClock>& clock) { return clock; }
    }
    """
    shared_ptr[CppMemoryFileSystem] new_memory_file_system "kalam::new_memory_file_system"(
    ) except +raise_core_error
    shared_ptr[CppFileSystem] as_file_system "kalam::as_file_system"(
        const shared_ptr[CppMemoryFileSystem]& files
    ) nogil
    shared_ptr[CppManualClock] new_manual_clock "kalam::new_manual_clock"(
        int64_t now_us
    ) except +raise_core_error
    shared_ptr[CppClock] as_clock "kalam::as_clock"(const shared_ptr[CppManualClock]& clock) nogil


# In the order of cpp/memory_file_system.hpp.
cdef tuple LOSSES = ("none", "all", "subset", "reorder", "torn_1", "torn_512", "torn_4096", "zeros")
cdef tuple OPERATIONS = (
    "open", "read", "write", "preallocate", "truncate", "sync", "close", "list", "rename", "remove",
    "make_directory", "sync_directory", "lock_directory",
)


def release_free_memory():
    """Gives back to the operating system what the allocator keeps for later: after work that took much."""
    with nogil:
        cpp_release_free_memory()


cdef object io_error(CppIoError* error):
    return IoError(
        error.what().decode("utf-8", "replace"),
        error.code,
        error.operation.decode("utf-8", "replace"),
        error.path.decode("utf-8", "replace"),
    )


cdef object read_file(CppReadFile* answer):
    cdef string* data = bytes_read(answer)
    if data == NULL:
        return io_error(read_failure(answer))
    return PyBytes_FromStringAndSize(data.data(), data.size())


cdef int position(tuple names, str name, str what) except -1:
    if name not in names:
        raise ValueError(f"no {what} is called {name!r}; there are {', '.join(names)}")
    return names.index(name)


@cython.final
cdef class FileSystem:
    """A file system of the core; every method raises IoError with errno, operation and path."""

    def __init__(self):
        raise TypeError("use FileSystem.posix() or FileSystem.memory()")

    @staticmethod
    def posix():
        """The file system of the operating system."""
        cdef FileSystem self = FileSystem.__new__(FileSystem)
        self.files = posix_file_system()
        return self

    @staticmethod
    def memory():
        """A new file system in memory, empty but for its root."""
        cdef FileSystem self = FileSystem.__new__(FileSystem)
        self.memory_files = new_memory_file_system()
        self.files = as_file_system(self.memory_files)
        return self

    cdef CppMemoryFileSystem* in_memory(self) except NULL:
        if self.memory_files.get() == NULL:
            raise TypeError("only a memory file system can crash or fail on request")
        return self.memory_files.get()

    def exists(self, str path not None):
        """Whether something has this name, a broken link included."""
        cdef string name = os.fsencode(path)
        return self.files.get().exists(name)

    def list(self, str directory not None):
        """Names (not paths) in a directory, sorted."""
        cdef string name = os.fsencode(directory)
        cdef vector[string] names
        with nogil:
            names = self.files.get().list(name)
        return [os.fsdecode(<bytes>entry) for entry in names]

    def make_directory(self, str path not None, unsigned mode=0o700):
        """Make a directory and its missing parents, each durable in its parent; no error if it is there."""
        cdef string name = os.fsencode(path)
        with nogil:
            self.files.get().make_directory(name, mode)

    def read_file(self, str path not None):
        """All bytes of a file."""
        cdef string name = os.fsencode(path)
        cdef string data
        with nogil:
            data = self.files.get().read_file(name)
        return <bytes>data

    def file_size(self, str path not None):
        """How many bytes a file has."""
        cdef string name = os.fsencode(path)
        cdef uint64_t size
        with nogil:
            size = self.files.get().file_size(name)
        return size

    def read_range(self, str path not None, uint64_t offset, size_t size):
        """Up to `size` bytes of a file from `offset`; fewer only where it ends."""
        cdef string name = os.fsencode(path)
        cdef string data
        with nogil:
            data = self.files.get().read_range(name, offset, size)
        return <bytes>data

    def is_link(self, str path not None):
        """Whether the name itself is a symbolic link; False where nothing has the name."""
        cdef string name = os.fsencode(path)
        cdef cpp_bool link
        with nogil:
            link = self.files.get().is_link(name)
        return link

    def read_all(self, paths):
        """All bytes of each file, or why they could not be read."""
        cdef vector[string] names = [os.fsencode(path) for path in paths]
        cdef vector[CppReadFile] answers
        with nogil:
            answers = self.files.get().read_all(names)
        return [read_file(&answers[number]) for number in range(answers.size())]

    def first_link(self, paths):
        """The first of these that is a symbolic link, as is_link has it, or None."""
        held = list(paths)
        cdef vector[string] names = [os.fsencode(path) for path in held]
        cdef size_t number
        with nogil:
            number = self.files.get().first_link(names)
        return held[number] if number < names.size() else None

    def write_atomic(self, str path not None, bytes data not None):
        """Write or replace a file: after a crash it holds the old bytes or all the new ones."""
        cdef string name = os.fsencode(path)
        cdef string_view view = string_view(PyBytes_AS_STRING(data), len(data))
        with nogil:
            self.files.get().write_atomic(name, view)

    def write_atomic_all(self, files):
        """Write or replace many files, each as write_atomic does, with few syncs; of each why it is not durable, or
        None."""
        cdef vector[string] paths
        cdef vector[string_view] contents
        cdef vector[optional[CppIoError]] failures
        cdef bytes data
        held = list(files)
        for path, given in held:
            if not isinstance(given, bytes):
                raise TypeError("the content of a file is bytes")
            data = given
            paths.push_back(<string>os.fsencode(path))
            contents.push_back(string_view(PyBytes_AS_STRING(data), len(data)))
        with nogil:
            failures = self.files.get().write_atomic_all(paths, contents)
        return [
            io_error(&dereference(failures[number])) if failures[number].has_value() else None
            for number in range(failures.size())
        ]

    def append(self, str path not None, bytes data not None):
        """Write at the end of a file, making it where it is not there. Not durable: for files that a crash may take."""
        cdef string name = os.fsencode(path)
        cdef size_t size = len(data)
        cdef const char* bytes_of = PyBytes_AS_STRING(data)
        cdef unique_ptr[CppFile] file
        with nogil:
            file = self.files.get().open(
                name, OpenMode.write if self.files.get().exists(name) else OpenMode.create)
            file.get().write_at(file.get().size(), bytes_of, size)
            file.get().close()

    def rename(self, str source not None, str target not None):
        """Rename a file, replacing what has the name; durable after sync_directory."""
        cdef string source_name = os.fsencode(source)
        cdef string target_name = os.fsencode(target)
        with nogil:
            self.files.get().rename(source_name, target_name)

    def remove(self, str path not None):
        """Remove a file or an empty directory; durable after sync_directory."""
        cdef string name = os.fsencode(path)
        with nogil:
            self.files.get().remove(name)

    def sync_directory(self, str path not None):
        """Make the names in a directory durable."""
        cdef string name = os.fsencode(path)
        with nogil:
            self.files.get().sync_directory(name)

    def lock_directory(self, str path not None):
        """Claim a directory; raises LockedError, naming the owner's pid, where it has an owner."""
        cdef string name = os.fsencode(path)
        cdef DirectoryLock lock = DirectoryLock.__new__(DirectoryLock)
        with nogil:
            lock.lock = move(self.files.get().lock_directory(name))
        return lock

    def crash(self, str loss not None="all", uint64_t seed=0, *, after=None):
        """What the disk would hold if power went now, or after a recorded moment, as a new file system."""
        cdef CppMemoryFileSystem* files = self.in_memory()
        cdef int pattern = position(LOSSES, loss, "loss pattern")
        cdef FileSystem result = FileSystem.__new__(FileSystem)
        cdef uint64_t number = 0
        if after is None:
            with nogil:
                result.memory_files = files.crash(<CppLoss>pattern, seed)
        else:
            number = self.moment(after)
            with nogil:
                result.memory_files = files.crash_after(number, <CppLoss>pattern, seed)
        result.files = as_file_system(result.memory_files)
        return result

    cdef uint64_t moment(self, number) except? 0:
        if not 0 <= number < self.in_memory().recorded():
            raise IndexError(f"no moment {number} was recorded")
        return number

    def record(self):
        """Remember everything as it stands after each operation from now on that changes something."""
        self.in_memory().record()

    def recorded(self):
        """How many moments are remembered."""
        return self.in_memory().recorded()

    def recorded_operation(self, number):
        """The name of the operation that made a moment, and its path."""
        cdef pair[CppOperation, string] found = self.in_memory().recorded_operation(self.moment(number))
        return OPERATIONS[<int>found.first], os.fsdecode(<bytes>found.second)

    def fingerprint(self):
        """A number that is the same for two memory file systems that read the same."""
        return self.in_memory().fingerprint()

    def fail(self, operations=None, *, uint64_t at=1, int errno=5, cpp_bool sticky=False,
             size_t partial_bytes=0):
        """Let the `at`-th such operation from now (1 is the next), and with `sticky` all after it, fail."""
        cdef CppFault fault
        if at == 0:
            raise ValueError("at counts from 1, which is the next operation")
        fault.operations = 0
        for name in OPERATIONS if operations is None else operations:
            fault.operations |= <uint32_t>1 << position(OPERATIONS, name, "operation")
        fault.at = at
        fault.code = errno
        fault.sticky = sticky
        fault.partial_bytes = partial_bytes
        self.in_memory().fail(fault)

    def forgive(self):
        """Forget every fault that fail() asked for."""
        self.in_memory().forgive()

    def count(self, str operation not None):
        """How many operations of a kind were begun, failed ones included."""
        return self.in_memory().count(<CppOperation>position(OPERATIONS, operation, "operation"))


@cython.final
cdef class DirectoryLock:
    """An exclusive claim on a directory, given up by release() or with the last reference."""

    def __init__(self):
        raise TypeError("use FileSystem.lock_directory()")

    def release(self):
        """Give the directory up; no error if that has happened."""
        self.lock.reset()


@cython.final
cdef class Clock:
    """The time of the machine, or one that a test sets."""

    def __init__(self):
        raise TypeError("use Clock.system() or Clock.manual()")

    @staticmethod
    def system():
        """The clock of the machine."""
        cdef Clock self = Clock.__new__(Clock)
        self.clock = system_clock()
        return self

    @staticmethod
    def manual(int64_t now_us):
        """A clock that stands still until it is told otherwise."""
        cdef Clock self = Clock.__new__(Clock)
        self.manual_clock = new_manual_clock(now_us)
        self.clock = as_clock(self.manual_clock)
        return self

    def now_us(self):
        """Microseconds since 1970-01-01T00:00:00Z; may step back."""
        return self.clock.get().now_us()

    def set(self, int64_t now_us):
        """Set a manual clock."""
        if self.manual_clock.get() == NULL:
            raise TypeError("only a manual clock can be set")
        self.manual_clock.get().set(now_us)

    def advance(self, int64_t us):
        """Move a manual clock on by microseconds."""
        if self.manual_clock.get() == NULL:
            raise TypeError("only a manual clock can be advanced")
        self.manual_clock.get().advance(us)


@cython.final
cdef class RandomSource:
    """Random bytes: the machine's, fit for secrets, or reproducible ones for tests."""

    def __init__(self):
        raise TypeError("use RandomSource.system() or RandomSource.seeded()")

    @staticmethod
    def system():
        """Bytes fit for secrets, from the operating system."""
        cdef RandomSource self = RandomSource.__new__(RandomSource)
        self.source = system_random()
        return self

    @staticmethod
    def seeded(uint64_t seed):
        """The same bytes for the same seed, for tests alone."""
        cdef RandomSource self = RandomSource.__new__(RandomSource)
        self.source = seeded_random(seed)
        return self

    def bytes(self, Py_ssize_t size):
        """`size` random bytes."""
        if size < 0:
            raise ValueError("size must not be negative")
        result = PyBytes_FromStringAndSize(NULL, size)
        self.source.get().fill(PyBytes_AS_STRING(result), size)
        return result
