# select_plan.pxd - the native SELECT.
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libcpp cimport bool as cpp_bool
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector

from kalamcore.errors cimport raise_core_error
from kalamcore.rows cimport Reader, RowLayout, RowReader, RowRef
from kalamcore.store cimport CppReadable, Readable


cdef extern from "select_plan.hpp" namespace "kalam" nogil:
    cdef enum class Type(uint8_t):
        kBoolean

    cdef cppclass Constant:
        Constant()
        cpp_bool null
        int64_t integer
        double real
        string_view bytes

    cdef enum class Test(uint8_t):
        kAnd

    cdef cppclass Step:
        Step()
        Test test
        int column
        uint32_t constant
        uint32_t constants
        uint32_t end

    cdef enum class AggregateKind "kalam::Aggregate::Kind" (uint8_t):
        kRows

    cdef cppclass Aggregate:
        Aggregate()
        AggregateKind kind
        int column

    cdef cppclass CppSelectPlan "kalam::SelectPlan":
        CppSelectPlan()
        vector[Step] predicate
        int order_column
        cpp_bool descending
        cpp_bool nulls_first
        vector[Aggregate] aggregates
        void prepare(const RowLayout& layout, size_t constants) except +raise_core_error

    cpp_bool key_of(Type type, const Constant& constant, string& out)

    cdef cppclass Selection:
        Selection(const CppSelectPlan& plan, const CppReadable& store, const RowReader& reader, uint64_t table_id,
                  string_view partition, uint64_t snapshot, vector[Constant]& constants, uint64_t limit,
                  uint64_t offset) except +raise_core_error
        cpp_bool step(size_t rows_max) except +raise_core_error
        const vector[RowRef]& rows()
        uint64_t bytes()
        const vector[uint64_t]& counts()
        const vector[RowRef]& extremes()


# Where a value comes from at each run, and what it is compared with.
cdef struct Slot:
    int source
    int index
    int code
    bint negative
    bint listed


cdef class SelectPlan:
    cdef Reader reader
    cdef uint64_t table_id
    cdef bint shared
    cdef CppSelectPlan plan
    cdef vector[int] columns
    cdef vector[Slot] slots
    cdef tuple given
    cdef Slot limit
    cdef Slot offset
    # The predicate is nothing but `key = constant`, and there is no limit.
    cdef bint point
    cdef bint counts_all
    cdef bint everybody
    cdef Py_ssize_t arrow_rows
    cdef int64_t bytes_max
    cdef type result
    cdef tuple names
    cdef tuple types
    cdef bytes codes
    cdef bint stored
    cdef object check
    cdef Py_ssize_t parameters

    cdef object select(self, Readable store, str user, object snapshot, tuple parameters, object literals,
                       double timeout_s)

    cdef int bind(self, const Slot& slot, tuple parameters, object literals, Constant* out, list held) except -1
    cdef int64_t count_of(self, const Slot& slot, tuple parameters, object literals) except -2
    cdef tuple aggregates(self, Selection* selection)
