# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""Identifiers that sort by time: Snowflake, UUIDv7, ULID; one, and many.

The functions give those of the process, the classes those of a generator of one's own.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cython.operator cimport dereference
from libc.stdint cimport int64_t
from libcpp.memory cimport shared_ptr

from kalamcore.system cimport Clock, CppClock, CppRandomSource, RandomSource

cdef extern from *:
    """
    static inline char* kalam_ascii_data(PyObject* text) { return (char*)PyUnicode_1BYTE_DATA(text); }
    """
    str PyUnicode_New(Py_ssize_t size, Py_UCS4 maximum)
    char* kalam_ascii_data(object text)


cdef shared_ptr[CppClock] clock_of(Clock clock):
    cdef shared_ptr[CppClock] none
    return none if clock is None else clock.clock


cdef shared_ptr[CppRandomSource] source_of(RandomSource random):
    cdef shared_ptr[CppRandomSource] none
    return none if random is None else random.source


cdef bytearray room(Py_ssize_t count, Py_ssize_t size):
    if count < 0:
        raise ValueError(f"{count} is no number of ids; ask for 0 or more")
    if count > (<Py_ssize_t> 1 << 40):
        raise MemoryError(f"{count} ids at once; ask for them in blocks")
    made = PyByteArray_FromStringAndSize(NULL, count * size)
    expect_whole_write(PyByteArray_AS_STRING(made), count * size)
    return made


@cython.final
cdef class Snowflakes:
    """A generator of Snowflake ids: 41 bits of milliseconds since 2024-01-01Z, 10 of worker id, 12 of sequence.

    Strictly increasing over all threads, whatever the clock does: the generator runs ahead of a clock that is slow,
    stopped or set back, up to `ahead_ms_max`, then waits for it.
    """

    def __cinit__(self, int worker_id=0, *, int64_t after=0, Clock clock=None, int64_t ahead_ms_max=10_000):
        if not 0 <= worker_id < 1024:
            raise ValueError(f"worker id {worker_id} is outside of 0 to 1023")
        self.ids.reset(new CppSnowflakes(worker_id, after, clock_of(clock), ahead_ms_max))

    def one(self):
        """The next id."""
        cdef int64_t id = 0
        if not dereference(self.ids).try_one(id):
            with nogil:
                id = dereference(self.ids).one()
        return id

    def many(self, Py_ssize_t count):
        """`count` ids as little-endian int64 (for numpy.frombuffer)."""
        cdef bytearray made = room(count, 8)
        cdef int64_t* out = <int64_t*> PyByteArray_AS_STRING(made)
        with nogil:
            dereference(self.ids).many(out, count)
        return made

    @property
    def last(self):
        """The latest id given, or `after`."""
        return dereference(self.ids).last()


@cython.final
cdef class UuidsV7:
    """RFC 9562 version 7, lower case, 36 characters, strictly increasing over all threads."""

    def __cinit__(self, *, Clock clock=None, RandomSource random=None):
        self.ids.reset(new CppUuid7(clock_of(clock), source_of(random)))

    def one(self):
        """The next id."""
        cdef str made = PyUnicode_New(36, 127)
        dereference(self.ids).one(kalam_ascii_data(made))
        return made

    def many(self, Py_ssize_t count):
        """`count` ids of 36 ASCII characters each, one after the other."""
        cdef bytearray made = room(count, 36)
        cdef char* out = PyByteArray_AS_STRING(made)
        with nogil:
            dereference(self.ids).many(out, count)
        return made


@cython.final
cdef class Ulids:
    """ULID, 26 characters of Crockford base 32, monotonic within a millisecond (carry, then wait)."""

    def __cinit__(self, *, Clock clock=None, RandomSource random=None):
        self.ids.reset(new CppUlid(clock_of(clock), source_of(random)))

    def one(self):
        """The next id."""
        cdef str made = PyUnicode_New(26, 127)
        dereference(self.ids).one(kalam_ascii_data(made))
        return made

    def many(self, Py_ssize_t count):
        """`count` ids of 26 ASCII characters each, one after the other."""
        cdef bytearray made = room(count, 26)
        cdef char* out = PyByteArray_AS_STRING(made)
        with nogil:
            dereference(self.ids).many(out, count)
        return made


# What kalamdb.ids offers. Native to the caller: a Python function around it would take longer than the id.

def snowflake_id(count=None):
    """One Snowflake id, or an int64 array of `count` of them: 41 bits of milliseconds since 2024-01-01Z, 10
    of worker id (0 here), 12 of sequence. Raises ValueError for a negative count.

    A forked child has the same worker id as its parent: across processes, use databases with a `worker_id`
    each.
    """
    cdef CppSnowflakes* ids = &process_ids().snowflakes
    cdef int64_t id = 0
    cdef bytearray made
    cdef int64_t* out
    cdef Py_ssize_t wanted
    if count is None:
        if not ids.try_one(id):
            with nogil:
                id = ids.one()
        return id
    import numpy

    wanted = counted(count, 1)
    made = room(wanted, 8)
    out = <int64_t*> PyByteArray_AS_STRING(made)
    with nogil:
        ids.many(out, wanted)
    return numpy.frombuffer(made, numpy.dtype("<i8"))


def uuid7(count=None):
    """One UUID of version 7 (RFC 9562), 36 characters in lower case, or an Arrow array of `count` of them.

    Raises ValueError for a negative count, or one beyond what an Arrow string array holds (59 million).
    """
    cdef CppUuid7* ids = &process_ids().uuids
    cdef str one
    cdef bytearray made
    cdef char* out
    cdef Py_ssize_t wanted
    if count is None:
        one = PyUnicode_New(36, 127)
        ids.one(kalam_ascii_data(one))
        return one
    wanted = counted(count, 36)
    made = room(wanted, 36)
    out = PyByteArray_AS_STRING(made)
    with nogil:
        ids.many(out, wanted)
    return strings(made, 36)


def ulid(count=None):
    """One ULID, 26 characters of Crockford base 32, or an Arrow array of `count` of them.

    Raises ValueError for a negative count, or one beyond what an Arrow string array holds (82 million).
    """
    cdef CppUlid* ids = &process_ids().ulids
    cdef str one
    cdef bytearray made
    cdef char* out
    cdef Py_ssize_t wanted
    if count is None:
        one = PyUnicode_New(26, 127)
        ids.one(kalam_ascii_data(one))
        return one
    wanted = counted(count, 26)
    made = room(wanted, 26)
    out = PyByteArray_AS_STRING(made)
    with nogil:
        ids.many(out, wanted)
    return strings(made, 26)


cdef Py_ssize_t counted(object count, Py_ssize_t width) except -1:
    # Arrow's string array counts its bytes in 32 bits.
    cdef Py_ssize_t most = 0x7FFFFFFF // width
    if count < 0:
        raise ValueError(f"count must not be negative, and is {count}")
    if width > 1 and count > most:
        raise ValueError(f"count must not exceed {most}, and is {count}")
    return count


cdef object strings(bytearray characters, Py_ssize_t width):
    """Texts of `width` ASCII characters each, end to end, as an Arrow array over the same memory."""
    import numpy
    import pyarrow

    cdef Py_ssize_t count = len(characters) // width
    offsets = numpy.arange(0, (count + 1) * width, width, dtype=numpy.int32)
    return pyarrow.StringArray.from_buffers(count, pyarrow.py_buffer(offsets), pyarrow.py_buffer(characters))
