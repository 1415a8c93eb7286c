# changes.pxd - what commits changed, for those who listen.
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libcpp cimport bool as cpp_bool
from libcpp.memory cimport shared_ptr, unique_ptr
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector

from kalamcore.errors cimport raise_core_error
from kalamcore.rows cimport RowReader, RowRef
from kalamcore.select_plan cimport Constant, Selection, SelectPlan, Step
from kalamcore.store cimport Readable, RowSource, Store


cdef extern from "change_feed.hpp" namespace "kalam" nogil:
    cdef enum class ChangeKind "kalam::OperationKind"(uint8_t):
        kInsert
        kReplace
        kDelete

    cdef cppclass Change:
        Change()
        ChangeKind kind
        uint64_t sequence
        uint64_t previous
        string_view row
        string_view old_row

    cdef cppclass HotSegment:
        int64_t rows()

    cdef cppclass CppChangeSet "kalam::ChangeSet":
        size_t size()
        size_t bytes()
        Change at(size_t index)
        shared_ptr[const HotSegment] loaded
        uint64_t last

    unique_ptr[RowSource] rows_of_load "kalam::loaded_rows"(const CppChangeSet& set) except +raise_core_error

    cdef cppclass CppWaker "kalam::ChangeWaker":
        CppWaker() except +raise_core_error
        void set_descriptor(int descriptor)
        vector[uint64_t] wait(int64_t timeout_ms) except +raise_core_error
        void interrupt()

    cdef cppclass CppChangeReader "kalam::ChangeReader":
        pass

    cdef cppclass ChangeFeed:
        void close(CppChangeReader& reader) except +raise_core_error
        void move(CppChangeReader& reader, shared_ptr[CppWaker] waker) except +raise_core_error
        vector[shared_ptr[const CppChangeSet]] take(CppChangeReader& reader, cpp_bool& lagged) \
            except +raise_core_error

    # Of the store; told here, where what it returns is known.
    cdef cppclass ListenedStore "kalam::Store":
        shared_ptr[CppChangeReader] listen(uint64_t table_id, string_view partition, uint64_t id,
                                           shared_ptr[CppWaker] waker, size_t bytes_max) except +raise_core_error
        ChangeFeed& feed()
        vector[shared_ptr[const CppChangeSet]] changes_between(uint64_t table_id, string_view partition,
                                                               uint64_t after, uint64_t until) except +raise_core_error


cdef extern from "row_predicate.hpp" namespace "kalam" nogil:
    cdef cppclass RowView:
        pass

    cdef cppclass OpeningReader "kalam::RowReader":
        RowView open(const char* row, size_t size) except +raise_core_error

    cdef cppclass RowPredicate:
        RowPredicate(const vector[Step]& steps, const RowReader& reader, vector[Constant]& constants) \
            except +raise_core_error
        cpp_bool holds(const RowView& view) except +raise_core_error


cdef class Waker:
    cdef shared_ptr[CppWaker] waker


cdef class ChangeSet:
    cdef shared_ptr[const CppChangeSet] set


cdef class Listener:
    cdef Store store
    cdef Waker waker
    cdef shared_ptr[CppChangeReader] reader


cdef class LoadedRows:
    cdef ChangeSet set
    cdef unique_ptr[RowSource] source


cdef class LivePlan:
    cdef SelectPlan plan
    cdef tuple parameters
    cdef object literals
    cdef list held
    cdef vector[Constant] constants
    cdef unique_ptr[RowPredicate] predicate

    cdef bint holds(self, string_view row) except -1
    cdef object decoded(self, string_view row, uint64_t sequence)
    cdef vector[RowRef] selected(self, Readable reader, bytes partition, uint64_t after,
                                 unique_ptr[Selection]& selection) except *
