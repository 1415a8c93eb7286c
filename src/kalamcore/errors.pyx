# cython: language_level=3, freethreading_compatible=True
"""What the core raises. Each class mirrors one of cpp/errors.hpp."""

from libc.stdint cimport uint32_t, uint64_t
from libcpp.string cimport string
from libcpp.utility cimport pair
from libcpp.vector cimport vector


class CoreError(Exception):
    """Base of everything the core raises on purpose."""


class IoError(CoreError):
    """A system call failed: `errno`, `operation`, `path`."""

    def __init__(self, message, errno=0, operation="", path=""):
        super().__init__(message)
        self.errno = errno
        self.operation = operation
        self.path = path


class CorruptionError(CoreError):
    """Bytes on disk are not what was written: `path`, `offset` in bytes."""

    def __init__(self, message, path="", offset=0):
        super().__init__(message)
        self.path = path
        self.offset = offset


class PoisonedError(CoreError):
    """An earlier write or sync failed; nothing more is written until the database is opened again."""


class OutcomeUnknownError(CoreError):
    """The commit was written but its sync failed."""


class LockedError(CoreError):
    """The directory has an owner: `owner`, its pid (0 when unknown)."""

    def __init__(self, message, owner=0):
        super().__init__(message)
        self.owner = owner


class UnknownFormatError(CoreError):
    """A file was written by a newer version of its format."""


class _At(CoreError):
    def __init__(self, message, position=0):
        super().__init__(message)
        self.position = position


class LimitExceededError(_At):
    """SQL text beyond a limit; `position` in characters."""


class InvalidTextError(_At):
    """Text that is no SQL, or no valid UTF-8; `position` in characters."""


class _Cell(CoreError):
    def __init__(self, message, row=-1, column=-1):
        super().__init__(message)
        self.row = row
        self.column = column


class ValueMismatchError(_Cell):
    """A value of a type that its column does not take: `row`, `column`, from 0."""


class ValueOutOfRangeError(_Cell):
    """A value too large for its column: `row`, `column`, from 0."""


class NullValueError(_Cell):
    """A required value is missing: `row`, `column`, from 0."""


class _Operation(CoreError):
    def __init__(self, message, operation=-1):
        super().__init__(message)
        self.operation = operation


class DuplicateKeyError(_Operation):
    """The key has a live row: `operation`, its index in the batch."""


class WriteConflictError(_Operation):
    """A key or a schema changed since the batch's snapshot: `operation`, its index in the batch."""


class HistoryGoneError(CoreError):
    """What is asked for is not all in the log any more."""


class ColdMissError(CoreError):
    """A read needs what is in a storage and not in memory: `blocks`, pairs of segment and number, of the partition
    (`table_id`, `partition`); none: its manifest."""

    def __init__(self, message, table_id=0, partition=b"", blocks=()):
        super().__init__(message)
        self.table_id = table_id
        self.partition = partition
        self.blocks = blocks


cdef extern from *:
    """
    #include <new>
    #include "errors.hpp"

    namespace kalam {
    struct Caught {
        int kind = 0;
        std::string message;
        std::string text;
        std::string path;
        long long first = 0;
        long long second = 0;
        std::vector<std::pair<std::uint64_t, std::uint32_t>> blocks = {};
    };

    // REQUIRES: called inside a catch block.
    inline Caught describe_current_exception() {
        Caught caught;
        try {
            throw;
        } catch (const IoError& e) {
            caught = Caught{1, e.what(), e.operation, e.path, e.code, 0};
        } catch (const Corruption& e) {
            caught = Caught{2, e.what(), {}, e.path, static_cast<long long>(e.offset), 0};
        } catch (const Poisoned& e) {
            caught = Caught{3, e.what(), {}, {}, 0, 0};
        } catch (const OutcomeUnknown& e) {
            caught = Caught{4, e.what(), {}, {}, 0, 0};
        } catch (const Locked& e) {
            caught = Caught{5, e.what(), {}, {}, e.owner, 0};
        } catch (const UnknownFormat& e) {
            caught = Caught{6, e.what(), {}, {}, 0, 0};
        } catch (const LimitExceeded& e) {
            caught = Caught{7, e.what(), {}, {}, static_cast<long long>(e.position), 0};
        } catch (const InvalidText& e) {
            caught = Caught{8, e.what(), {}, {}, static_cast<long long>(e.position), 0};
        } catch (const ValueMismatch& e) {
            caught = Caught{9, e.what(), {}, {}, e.row, e.column};
        } catch (const ValueOutOfRange& e) {
            caught = Caught{10, e.what(), {}, {}, e.row, e.column};
        } catch (const NullValue& e) {
            caught = Caught{11, e.what(), {}, {}, e.row, e.column};
        } catch (const DuplicateKey& e) {
            caught = Caught{12, e.what(), {}, {}, e.operation, 0};
        } catch (const WriteConflict& e) {
            caught = Caught{13, e.what(), {}, {}, e.operation, 0};
        } catch (const HistoryGone& e) {
            caught = Caught{16, e.what(), {}, {}, 0, 0};
        } catch (const ColdMiss& e) {
            caught = Caught{15, e.what(), {}, e.partition, static_cast<long long>(e.table_id), 0, e.blocks};
        } catch (const std::bad_alloc&) {
            caught.kind = 14;
        } catch (const std::exception& e) {
            caught.message = e.what();
        } catch (...) {
            caught.message = "an unknown C++ exception";
        }
        return caught;
    }
    }  // namespace kalam
    """
    cdef cppclass Caught "kalam::Caught":
        int kind
        string message
        string text
        string path
        long long first
        long long second
        vector[pair[uint64_t, uint32_t]] blocks
    Caught describe_current_exception "kalam::describe_current_exception"() nogil


cdef str text_of(const string& bytes):
    return bytes.decode("utf-8", "replace")


cdef int raise_core_error() except *:
    cdef Caught caught = describe_current_exception()
    message = text_of(caught.message)
    if caught.kind == 1:
        raise IoError(message, caught.first, text_of(caught.text), text_of(caught.path))
    if caught.kind == 2:
        raise CorruptionError(message, text_of(caught.path), caught.first)
    if caught.kind == 3:
        raise PoisonedError(message)
    if caught.kind == 4:
        raise OutcomeUnknownError(message)
    if caught.kind == 5:
        raise LockedError(message, caught.first)
    if caught.kind == 6:
        raise UnknownFormatError(message)
    if caught.kind == 7:
        raise LimitExceededError(message, caught.first)
    if caught.kind == 8:
        raise InvalidTextError(message, caught.first)
    if caught.kind == 9:
        raise ValueMismatchError(message, caught.first, caught.second)
    if caught.kind == 10:
        raise ValueOutOfRangeError(message, caught.first, caught.second)
    if caught.kind == 11:
        raise NullValueError(message, caught.first, caught.second)
    if caught.kind == 12:
        raise DuplicateKeyError(message, caught.first)
    if caught.kind == 13:
        raise WriteConflictError(message, caught.first)
    if caught.kind == 14:
        raise MemoryError("the core is out of memory")
    if caught.kind == 15:
        blocks = [(place.first, place.second) for place in caught.blocks]
        raise ColdMissError(message, caught.first, <bytes> caught.path, blocks)
    if caught.kind == 16:
        raise HistoryGoneError(message)
    raise CoreError(message)
