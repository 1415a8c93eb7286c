# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True, auto_pickle=False
"""The rows of a result in hand, and how far they were fetched."""

from cpython.list cimport PyList_GET_SIZE


cdef class Cursor:
    """What every result has, and the fetching of one row. A subclass gives `_tuples`, which fills `_rows`."""

    def fetchone(self):
        """The next row, or None after the last."""
        cdef list rows = self._rows
        cdef Py_ssize_t at = self._cursor
        if rows is None:
            rows = self._tuples()
        if at >= PyList_GET_SIZE(rows):
            return None
        self._cursor = at + 1
        return rows[at]

    def _tuples(self):
        raise NotImplementedError
