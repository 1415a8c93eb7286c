# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True, auto_pickle=False
"""How deep a message is nested, before a library reads it that calls itself for each level."""

from libc.stddef cimport size_t
from libcpp cimport bool as cpp_bool
from libcpp.string_view cimport string_view

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from kalamcore.errors cimport raise_core_error

cdef extern from "nesting.hpp" namespace "kalam" nogil:
    cpp_bool json_deeper "kalam::is_json_deeper"(string_view text, size_t depth_max) except +raise_core_error
    cpp_bool msgpack_deeper "kalam::is_msgpack_deeper"(string_view message, size_t depth_max) except +raise_core_error


def is_json_deeper(bytes text not None, size_t depth_max):
    """Whether arrays and objects are open one in the other more than `depth_max` deep; of what is no JSON, as far as
    that can be told."""
    return json_deeper(string_view(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)), depth_max)


def is_msgpack_deeper(bytes message not None, size_t depth_max):
    """The same of a MessagePack value."""
    return msgpack_deeper(string_view(PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message)), depth_max)
