# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""The NOT NULL check before a write, over tuples and over Arrow validity bitmaps."""

from cpython.list cimport PyList_CheckExact, PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_SIZE
from cython.operator cimport dereference as deref
from libc.stdint cimport int64_t
from libcpp.memory cimport unique_ptr
from libcpp.utility cimport pair
from libcpp.vector cimport vector

from kalamcore.rows cimport ArrowInput, import_batch


cdef extern from "Python.h":
    PyObject* tuple_item "PyTuple_GET_ITEM"(PyObject* row, Py_ssize_t i) noexcept
    PyObject* list_item "PyList_GET_ITEM"(PyObject* row, Py_ssize_t i) noexcept
    Py_ssize_t tuple_size "PyTuple_GET_SIZE"(PyObject* row) noexcept
    Py_ssize_t list_size "PyList_GET_SIZE"(PyObject* row) noexcept
    bint is_tuple "PyTuple_CheckExact"(PyObject* row) noexcept
    bint is_list "PyList_CheckExact"(PyObject* row) noexcept
    PyObject* None_ "Py_None"


def first_null(object rows, object required):
    """The first (row, column) where a required column (by position) holds None, row by row; else None.

    Raises IndexError for a row that is too short for `required`.
    """
    cdef vector[Py_ssize_t] positions
    cdef Py_ssize_t most = -1
    cdef Py_ssize_t i
    cdef Py_ssize_t position
    cdef Py_ssize_t count
    cdef PyObject* row
    cdef size_t j
    cdef size_t width
    # Held by a tuple of our own: a row of another type runs code of its own, which could change a list.
    cdef object held = rows if PyList_CheckExact(rows) else tuple(rows)
    for position in required:
        if position < 0:
            raise IndexError(f"there is no column {position}")
        positions.push_back(position)
        most = max(most, position)
    width = positions.size()
    if width == 0:
        return None
    i = 0
    while True:
        # Asked for anew in every turn, because a row's own code may have changed the list.
        if PyList_CheckExact(held):
            count = PyList_GET_SIZE(held)
            if i >= count:
                return None
            row = list_item(<PyObject*> held, i)
        else:
            count = PyTuple_GET_SIZE(held)
            if i >= count:
                return None
            row = tuple_item(<PyObject*> held, i)
        if is_tuple(row):
            if tuple_size(row) <= most:
                raise IndexError(f"row {i} has no column {most}")
            for j in range(width):
                if tuple_item(row, positions[j]) == None_:
                    return i, positions[j]
        elif is_list(row):
            if list_size(row) <= most:
                raise IndexError(f"row {i} has no column {most}")
            for j in range(width):
                if list_item(row, positions[j]) == None_:
                    return i, positions[j]
        else:
            found = first_null_of_sequence(<object> row, positions)
            if found >= 0:
                return i, found
        i += 1


cdef Py_ssize_t first_null_of_sequence(object row, const vector[Py_ssize_t]& positions) except -2:
    cdef size_t j
    for j in range(positions.size()):
        if row[positions[j]] is None:
            return positions[j]
    return -1


def first_null_in_batch(object batch, object required):
    """The same over anything with `__arrow_c_array__` (a struct, as a record batch is).

    Raises ValueMismatchError with row -1 for a column that the batch has not.
    """
    cdef unique_ptr[ArrowInput] input = import_batch(batch)
    cdef vector[int64_t] positions = required
    cdef pair[int64_t, int64_t] found
    with nogil:
        found = cpp_first_null(deref(input), positions)
    if found.first < 0:
        return None
    return found.first, found.second
