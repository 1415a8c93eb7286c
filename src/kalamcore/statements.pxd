# statements.pxd - what Cython may know of the scanner.
from libc.stdint cimport uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.string cimport string
from libcpp.utility cimport pair
from libcpp.vector cimport vector

from kalamcore.errors cimport raise_core_error

cdef extern from *:
    """
    #include <string_view>
    """
    cdef cppclass string_view "std::string_view":
        string_view()
        string_view(const char* data, size_t size)

cdef extern from "scanner.hpp" namespace "kalam" nogil:
    ctypedef enum TokenKind "kalam::TokenKind":
        kEnd "kalam::kEnd"
        kWord "kalam::kWord"
        kQuoted "kalam::kQuoted"
        kString "kalam::kString"
        kBytes "kalam::kBytes"
        kInteger "kalam::kInteger"
        kNumber "kalam::kNumber"
        kParameter "kalam::kParameter"
        kOperator "kalam::kOperator"

    cdef cppclass CppToken "kalam::Token":
        TokenKind kind
        cbool doubled
        cbool exponent
        uint32_t start
        uint32_t end
        uint32_t index

    cdef cppclass CppLexer "kalam::Lexer":
        CppLexer(string_view text, size_t at) except +raise_core_error
        void next(CppToken& token) except +raise_core_error

    cdef cppclass CppScanLimits "kalam::ScanLimits":
        uint64_t text_bytes_max
        uint64_t insert_bytes_max
        uint32_t depth_max
        uint32_t terms_max
        uint32_t union_arms_max
        uint32_t parameters_max

    cdef cppclass CppLiteral "kalam::Literal":
        uint32_t start
        uint32_t end
        TokenKind kind
        cbool doubled
        cbool exponent
        cbool negative

    cdef cppclass CppScan "kalam::Scan":
        string shape
        vector[CppLiteral] literals
        uint32_t kind_start
        uint32_t kind_end
        uint32_t end
        uint32_t rows_start
        uint32_t rows_end
        uint32_t row_count
        uint32_t parameters

    cdef cppclass CppRowReader "kalam::LiteralRows":
        CppRowReader(string_view text, const CppScan& scan) except +raise_core_error
        cbool row()
        cbool cell(CppLiteral& literal)

    void cpp_scan "kalam::scan"(string_view text, const CppScanLimits& limits, CppScan& out) except +raise_core_error
    vector[pair[uint32_t, uint32_t]] cpp_split "kalam::split"(
        string_view text, size_t statements_max) except +raise_core_error
    size_t characters "kalam::characters"(string_view text, size_t offset)
    string too_large "kalam::too_large"(uint64_t bytes, uint64_t limit, cbool at_least)
    void unquote "kalam::unquote"(string_view text, uint32_t start, uint32_t end, string& out)


cdef class Scan:
    cdef str text
    cdef const char* data
    cdef uint32_t size
    cdef bint ascii
    cdef CppScan core
    cdef readonly str shape
    cdef object value(self, TokenKind kind, uint32_t start, uint32_t end, bint doubled, bint exponent)
