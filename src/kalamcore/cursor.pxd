# cursor.pxd - the rows of a result in hand.
cdef extern from *:
    """
    static inline PyObject* kalam_new(PyObject* of, PyObject* nothing) {
        return ((PyTypeObject*) of)->tp_new((PyTypeObject*) of, nothing, NULL);
    }
    """
    object kalam_new(object of, object nothing)


cdef class Cursor:
    cdef public tuple columns
    cdef public Py_ssize_t rowcount
    cdef public object message
    cdef public object user
    cdef public double took_ms
    cdef public list _rows
    cdef public object _types
    cdef public object _batches
    cdef public object _schema
    cdef public object _parts
    cdef public list _stored
    # StoredRows, and the type code of each column as bytes; None where the rows are somewhere else.
    cdef public object _encoded
    cdef public object _codes
    cdef public Py_ssize_t _cursor


# Any object of a subclass, without its __init__.
cdef inline Cursor new_cursor(type of):
    return <Cursor> kalam_new(of, ())
