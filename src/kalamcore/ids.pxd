# ids.pxd - what Cython may know of the generators of identifiers.
from libc.stddef cimport size_t
from libc.stdint cimport int64_t
from libcpp cimport bool as cbool
from libcpp.memory cimport shared_ptr, unique_ptr

from kalamcore.errors cimport raise_core_error
from kalamcore.system cimport CppClock, CppRandomSource


cdef extern from "ids.hpp" namespace "kalam" nogil:
    cdef cppclass CppSnowflakes "kalam::Snowflakes":
        CppSnowflakes(int worker, int64_t after, shared_ptr[CppClock] clock,
                      int64_t ahead_ms_max) except +raise_core_error
        cbool try_one(int64_t& id) except +raise_core_error
        int64_t one() except +raise_core_error
        void many(int64_t* out, size_t count) except +raise_core_error
        int64_t last() const

    cdef cppclass CppUuid7 "kalam::Uuid7":
        CppUuid7(shared_ptr[CppClock] clock, shared_ptr[CppRandomSource] random) except +raise_core_error
        void one(char* out) except +raise_core_error
        void many(char* out, size_t count) except +raise_core_error
        void one_binary(unsigned char* out) except +raise_core_error

    cdef cppclass CppUlid "kalam::Ulid":
        CppUlid(shared_ptr[CppClock] clock, shared_ptr[CppRandomSource] random) except +raise_core_error
        void one(char* out) except +raise_core_error
        void many(char* out, size_t count) except +raise_core_error

    cdef cppclass ProcessIds:
        CppSnowflakes snowflakes
        CppUuid7 uuids
        CppUlid ulids

    ProcessIds& process_ids() except +raise_core_error

cdef extern from "huge_pages.hpp" namespace "kalam" nogil:
    void expect_whole_write(void* begin, size_t size)


cdef class Snowflakes:
    cdef shared_ptr[CppSnowflakes] ids


cdef class UuidsV7:
    cdef unique_ptr[CppUuid7] ids


cdef class Ulids:
    cdef unique_ptr[CppUlid] ids
