# segment_load.pxd - what Cython may know of loads.
from libc.stdint cimport int64_t, uint64_t
from libcpp.memory cimport unique_ptr
from libcpp.string cimport string

from kalamcore.errors cimport raise_core_error
from kalamcore.rows cimport ArrowInput
from kalamcore.store cimport CppStore, Store, TableDescription


cdef extern from "segment_load.hpp" namespace "kalam" nogil:
    cdef cppclass CppSegmentLoad "kalam::SegmentLoad":
        CppSegmentLoad(CppStore& store, uint64_t table_id, string partition,
                       TableDescription description) except +raise_core_error
        void add(const ArrowInput& batch, const int64_t* order) except +raise_core_error
        uint64_t commit() except +raise_core_error
        int64_t rows()


cdef class SegmentLoad:
    # Declared before what must go first.
    cdef Store store
    cdef unique_ptr[CppSegmentLoad] load
