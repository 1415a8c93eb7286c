# not_null.pxd - what Cython may know of the check over validity bitmaps.
from libc.stdint cimport int64_t
from libcpp.utility cimport pair
from libcpp.vector cimport vector

from kalamcore.errors cimport raise_core_error
from kalamcore.rows cimport ArrowInput


cdef extern from "not_null.hpp" namespace "kalam" nogil:
    pair[int64_t, int64_t] cpp_first_null "kalam::first_null"(
        const ArrowInput& input, const vector[int64_t]& required
    ) except +raise_core_error
