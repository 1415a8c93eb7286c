# What Cython may know of files, clock and randomness, for the modules that take them.
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libcpp cimport bool as cpp_bool
from libcpp.memory cimport shared_ptr, unique_ptr
from libcpp.optional cimport optional
from libcpp.string cimport string
from libcpp.string_view cimport string_view
from libcpp.utility cimport pair
from libcpp.vector cimport vector

from kalamcore.errors cimport raise_core_error


cdef extern from "errors.hpp" namespace "kalam" nogil:
    cdef cppclass CppIoError "kalam::IoError":
        int code
        string operation
        string path
        const char* what()


cdef extern from "vfs.hpp" namespace "kalam" nogil:
    cdef cppclass CppDirectoryLock "kalam::DirectoryLock":
        pass

    cdef enum class OpenMode:
        write
        create

    cdef cppclass CppFile "kalam::File":
        uint64_t size() except +raise_core_error
        void write_at(uint64_t offset, const void* data, size_t size) except +raise_core_error
        void close() except +raise_core_error

    # A std::variant: bytes, or why there are none.
    cdef cppclass CppReadFile "std::variant<std::string, kalam::IoError>":
        pass
    string* bytes_read "std::get_if<std::string>"(CppReadFile*) noexcept
    CppIoError* read_failure "std::get_if<kalam::IoError>"(CppReadFile*) noexcept

    cdef cppclass CppFileSystem "kalam::FileSystem":
        unique_ptr[CppFile] open(const string& path, OpenMode mode) except +raise_core_error
        cpp_bool exists(const string& path) except +raise_core_error
        vector[string] list(const string& directory) except +raise_core_error
        void make_directory(const string& path, unsigned mode) except +raise_core_error
        void rename(const string& source, const string& target) except +raise_core_error
        void remove(const string& path) except +raise_core_error
        void sync_directory(const string& path) except +raise_core_error
        unique_ptr[CppDirectoryLock] lock_directory(const string& path) except +raise_core_error
        string read_file(const string& path) except +raise_core_error
        uint64_t file_size(const string& path) except +raise_core_error
        string read_range(const string& path, uint64_t offset, size_t size) except +raise_core_error
        vector[CppReadFile] read_all(const vector[string]& paths) except +raise_core_error
        cpp_bool is_link(const string& path) except +raise_core_error
        size_t first_link(const vector[string]& paths) except +raise_core_error
        void write_atomic(const string& path, string_view data) except +raise_core_error
        vector[optional[CppIoError]] write_atomic_all(
            const vector[string]& paths, const vector[string_view]& contents
        ) except +raise_core_error

    shared_ptr[CppFileSystem] posix_file_system "kalam::FileSystem::posix"() except +raise_core_error


cdef extern from "memory_file_system.hpp" namespace "kalam" nogil:
    cdef enum class CppLoss "kalam::Loss"(uint8_t):
        pass

    cdef enum class CppOperation "kalam::Operation"(uint8_t):
        pass

    cdef cppclass CppFault "kalam::Fault":
        uint32_t operations
        uint64_t at
        int code
        cpp_bool sticky
        size_t partial_bytes

    cdef cppclass CppMemoryFileSystem "kalam::MemoryFileSystem":
        shared_ptr[CppMemoryFileSystem] crash(CppLoss loss, uint64_t seed) except +raise_core_error
        void fail(const CppFault& fault) except +raise_core_error
        void forgive() except +raise_core_error
        uint64_t count(CppOperation operation) except +raise_core_error
        void record() except +raise_core_error
        uint64_t recorded() except +raise_core_error
        pair[CppOperation, string] recorded_operation(uint64_t number) except +raise_core_error
        shared_ptr[CppMemoryFileSystem] crash_after(
            uint64_t number, CppLoss loss, uint64_t seed
        ) except +raise_core_error
        uint64_t fingerprint() except +raise_core_error


cdef extern from "clock.hpp" namespace "kalam" nogil:
    cdef cppclass CppClock "kalam::Clock":
        int64_t now_us()
        int64_t monotonic_ns()

    cdef cppclass CppManualClock "kalam::ManualClock":
        void set(int64_t now_us)
        void advance(int64_t us)

    shared_ptr[CppClock] system_clock "kalam::Clock::system"() except +raise_core_error


cdef extern from "random.hpp" namespace "kalam" nogil:
    cdef cppclass CppRandomSource "kalam::RandomSource":
        void fill(void* out, size_t size) except +raise_core_error

    shared_ptr[CppRandomSource] system_random "kalam::RandomSource::system"() except +raise_core_error
    shared_ptr[CppRandomSource] seeded_random "kalam::RandomSource::seeded"(
        uint64_t seed
    ) except +raise_core_error


cdef class FileSystem:
    cdef shared_ptr[CppFileSystem] files
    # Set for a file system in memory alone; the same object as `files`.
    cdef shared_ptr[CppMemoryFileSystem] memory_files

    cdef CppMemoryFileSystem* in_memory(self) except NULL
    cdef uint64_t moment(self, number) except? 0


cdef class DirectoryLock:
    cdef unique_ptr[CppDirectoryLock] lock


cdef class Clock:
    cdef shared_ptr[CppClock] clock
    # Set for a manual clock alone; the same object as `clock`.
    cdef shared_ptr[CppManualClock] manual_clock


cdef class RandomSource:
    cdef shared_ptr[CppRandomSource] source
