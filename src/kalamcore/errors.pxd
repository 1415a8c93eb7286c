# The one place where C++ exceptions become Python exceptions.
cdef int raise_core_error() except *
