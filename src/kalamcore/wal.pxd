# What Cython may know of the log.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libcpp cimport bool as cpp_bool
from libcpp.memory cimport shared_ptr, unique_ptr
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.vector cimport vector

from kalamcore.errors cimport raise_core_error
from kalamcore.system cimport CppFileSystem


cdef extern from "wal.hpp" namespace "kalam" nogil:
    cdef enum class CppRecordType "kalam::RecordType"(uint8_t):
        pass

    cdef cppclass CppLogRecovery "kalam::LogRecovery":
        uint64_t records
        uint64_t last_lsn
        uint64_t torn_bytes
        string torn_file
        string kept_as

    cdef cppclass CppLog "kalam::Log":
        uint64_t append(
            CppRecordType type, string_view head, string_view body, uint64_t drops_known, cpp_bool frees
        ) except +raise_core_error
        void flush(uint64_t lsn, cpp_bool sync) except +raise_core_error
        void release(uint64_t lsn) except +raise_core_error
        uint64_t last()
        uint64_t written()
        uint64_t durable()
        uint64_t bytes()
        void close() except +raise_core_error


cdef extern from "log_check.hpp" namespace "kalam" nogil:
    cdef enum class CppFindingKind "kalam::LogFinding::Kind"(uint8_t):
        pass

    cdef cppclass CppLogFinding "kalam::LogFinding":
        CppFindingKind kind
        string file
        uint64_t offset
        uint64_t lsn
        string what

    cdef cppclass CppLogSurvey "kalam::LogSurvey":
        vector[CppLogFinding] findings
        uint64_t kept_records
        uint64_t kept_first_lsn
        uint64_t kept_lsn
        uint64_t dropped_records
        uint64_t dropped_bytes
        uint64_t cut_number
        uint64_t cut_offset

    CppLogSurvey survey_log "kalam::survey_log"(
        CppFileSystem& files, const string& directory
    ) except +raise_core_error
    void repair_log "kalam::repair_log"(
        CppFileSystem& files, const string& directory, const CppLogSurvey& survey
    ) except +raise_core_error


cdef extern from "crc32c.hpp" namespace "kalam" nogil:
    uint32_t crc32c_of "kalam::crc32c"(string_view bytes)
    uint32_t crc32c_extend_by_table "kalam::crc32c_extend_by_table"(uint32_t crc, string_view bytes)


cdef class Log:
    cdef unique_ptr[CppLog] log
    cdef CppLogRecovery found
    cdef list seen

    cdef CppLog* opened(self) except NULL
