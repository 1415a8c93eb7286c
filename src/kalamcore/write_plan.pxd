# write_plan.pxd - how the cells of a written row are found.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libcpp.string cimport string
from libcpp.vector cimport vector

from kalamcore.rows cimport Layout, Reader
from kalamcore.store cimport CppWriteBatch, Store


cdef struct Cell:
    int source
    Py_ssize_t index
    int code
    bint always  # given to `convert` whatever it is


# Sources of cells, and what they are made from.
cdef class _Cells:
    cdef vector[Cell] cells
    cdef tuple constants
    cdef tuple types
    cdef object convert
    cdef object now_us
    cdef bint asks_now

    cdef object now(self)
    cdef object value(self, const Cell* cell, Py_ssize_t column, object given, object literals, object user, object now)


cdef class InsertPlan:
    cdef Store store
    cdef uint64_t table_id
    cdef bint shared
    cdef Layout layout
    cdef uint32_t version
    cdef _Cells cells
    cdef Py_ssize_t width
    cdef Py_ssize_t given
    cdef bint in_order
    cdef type result
    cdef Py_ssize_t rows
    cdef str message

    cdef int add(self, CppWriteBatch* batch, bytes partition, object given, object literals, object user,
                 object now) except -1
    cdef tuple row_of(self, Py_ssize_t first, object given, object literals, object user, object now)


cdef class ChangePlan:
    cdef Store store
    cdef uint64_t table_id
    cdef bint shared
    cdef bint deletes
    cdef Layout layout
    cdef Reader reader
    cdef uint32_t version
    cdef vector[int] columns
    cdef Cell key
    cdef type result
    cdef str none_changed
    cdef str one_changed
    cdef _Cells cells
    cdef vector[int] positions
    cdef Py_ssize_t given

    cdef tuple changed(self, tuple old, object given, object literals, object user)
