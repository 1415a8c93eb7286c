# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: freethreading_compatible=True, auto_pickle=False
"""Rows as bytes: order-preserving keys, and encoded rows from and to Python values and Arrow columns."""

import datetime
import decimal
import uuid

cimport cython
from cpython.bool cimport PyBool_Check
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.datetime cimport (
    PyDate_Check,
    PyDateTime_Check,
    PyDateTime_CheckExact,
    PyTime_Check,
    date_day,
    date_month,
    date_new,
    date_year,
    datetime_day,
    datetime_hour,
    datetime_microsecond,
    datetime_minute,
    datetime_month,
    datetime_new,
    datetime_second,
    datetime_tzinfo,
    datetime_year,
    import_datetime,
    time_hour,
    time_microsecond,
    time_minute,
    time_new,
    time_second,
    time_tzinfo,
    timedelta_days,
    timedelta_microseconds,
    timedelta_seconds,
)
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check, PyFloat_FromDouble
from cpython.long cimport PyLong_AsDouble, PyLong_AsLongLongAndOverflow, PyLong_Check
from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from cpython.ref cimport Py_DECREF, Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE, PyTuple_New, PyTuple_SET_ITEM
from cpython.unicode cimport PyUnicode_Check, PyUnicode_GET_LENGTH
from cython.operator cimport dereference as deref
from libc.math cimport INFINITY, NAN, isinf
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libcpp.string cimport string
from libcpp.utility cimport move
from libcpp.vector cimport vector

from kalamcore.errors import CorruptionError, NullValueError, ValueMismatchError, ValueOutOfRangeError

import_datetime()

BOOLEAN = 1
SMALLINT = 2
INT = 3
BIGINT = 4
FLOAT = 5
DOUBLE = 6
DECIMAL = 7
TEXT = 8
BYTES = 9
TIMESTAMP = 10
DATE = 11
TIME = 12
UUID = 13
JSON = 14

cdef object utc = datetime.timezone.utc
cdef object Decimal = decimal.Decimal
cdef object UuidType = uuid.UUID
cdef object uuid_is_safe = uuid.SafeUUID.unknown
cdef str name_int = "int"
cdef str name_is_safe = "is_safe"

# Years 1 to 9999, as datetime and date have them.
cdef int64_t TIMESTAMP_MIN = -62135596800000000
cdef int64_t TIMESTAMP_MAX = 253402300799999999
cdef int64_t DATE_MIN = -719162
cdef int64_t DATE_MAX = 2932896
cdef int64_t DAY_US = 86400000000


cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    PyObject* decode_utf8 "PyUnicode_DecodeUTF8"(
        const char* data, Py_ssize_t size, const char* errors
    ) noexcept
    void PyErr_Clear()
    int PyObject_GenericSetAttr(object o, object name, object value) except -1
    object PyLong_FromLongLong(long long value)
    object PyLong_FromUnsignedLongLong(unsigned long long value)
    object PyUnicode_FromStringAndSize(const char* data, Py_ssize_t size)
    bint PyMemoryView_Check(object o)
    bint PyByteArray_Check(object o)
    object uuid_int "_PyLong_FromByteArray"(const unsigned char* data, size_t size, int little, int signed)


cdef extern from "keys.hpp" namespace "kalam" nogil:
    # As wide as C++ says; never converted to a Python int.
    ctypedef long long int128 "kalam::int128"
    ctypedef unsigned long long uint128 "kalam::uint128"
    cdef enum class Type(uint8_t):
        kBoolean
    cdef cppclass string_view "std::string_view":
        string_view()
        string_view(const char* data, size_t size)
        const char* data()
        size_t size()
    Type type_of_code(int code, int64_t column) except +raise_core_error
    const char* type_name(Type type)
    size_t key_width(Type type)
    void append_boolean_key(cpp_bool value, string& out) except +raise_core_error
    void append_integer_key(int64_t value, string& out) except +raise_core_error
    void append_real_key(double value, string& out) except +raise_core_error
    void append_decimal_key(int128 value, string& out) except +raise_core_error
    cpp_bool boolean_of_key(string_view key)
    int64_t integer_of_key(string_view key)
    double real_of_key(string_view key)
    int128 decimal_of_key(string_view key)
    void append_null_part(string& out) except +raise_core_error
    void append_part(Type type, string_view single_key, string& out) except +raise_core_error


cdef extern from "rows.hpp" namespace "kalam" nogil:
    cdef size_t kRowBytesMax
    T load[T](const void* at)

    cdef cppclass Column:
        Column()
        uint32_t id
        Type type
        int32_t parameter_1
        int32_t parameter_2
        cpp_bool nullable

    SharedLayout new_layout "std::make_shared<const kalam::RowLayout>"(
        uint32_t version, const vector[Column]& columns, size_t key
    ) except +raise_core_error

    cdef cppclass RowWriter:
        RowWriter()
        RowWriter(const RowLayout& layout, string& out) except +raise_core_error
        void set_null(size_t column)
        void set_integer(size_t column, int64_t value)
        void set_real(size_t column, double value)
        void set_decimal(size_t column, int128 value)
        void set_uuid(size_t column, const void* data)
        void set_bytes(size_t column, const char* data, size_t size) except +raise_core_error
        void finish(int64_t row) except +raise_core_error
        void abandon()

    cdef struct View "kalam::Cell::View":
        const char* data
        size_t size

    cdef cppclass Cell:
        Cell()
        cpp_bool null
        int64_t integer
        double real
        int128 decimal
        View bytes

    cdef cppclass RowView:
        RowView()

    cdef cppclass FullRowReader "kalam::RowReader":
        RowView open(const char* row, size_t size) except +raise_core_error
        Cell cell(const RowView& view, size_t column) except +raise_core_error


cdef extern from "<memory>" namespace "std" nogil:
    # Whole, since what owns it takes memory too, and may find none.
    shared_ptr[RowReader] make_reader "std::make_shared<kalam::RowReader>"(
        vector[SharedLayout]& layouts, string& missing_row) except +raise_core_error


cdef extern from "arrow_import.hpp" namespace "kalam" nogil:
    cdef enum class ArrowKind(uint8_t):
        kUnknown
        kNull
        kBool
        kInt8
        kUInt8
        kInt16
        kUInt16
        kInt32
        kUInt32
        kInt64
        kUInt64
        kHalf
        kFloat
        kDouble
        kText
        kLargeText
        kTextView
        kBinary
        kLargeBinary
        kBinaryView
        kFixedBinary
        kDecimal
        kDate32
        kDate64
        kTime
        kTimestamp

    cdef cppclass ArrowColumn:
        ArrowKind kind
        int32_t width
        int32_t scale
        int64_t unit_ns
        int64_t offset
        const uint8_t* validity
        const void* values
        string format
        cpp_bool is_null(int64_t row)
        string_view view(int64_t row) except +raise_core_error

    cdef cppclass FullArrowInput "kalam::ArrowInput":
        FullArrowInput(ArrowSchema* schema, ArrowArray* array) except +raise_core_error
        int64_t rows()
        const vector[ArrowColumn]& columns()


cdef str type_text(int code):
    return type_name(<Type> code).decode()


cdef int refuse_type(object value, int code, Py_ssize_t row, Py_ssize_t column) except -1:
    raise ValueMismatchError(
        f"a value of type {type(value).__name__} cannot be stored as {type_text(code)}", row, column
    )


cdef int refuse_range(int code, Py_ssize_t row, Py_ssize_t column) except -1:
    raise ValueOutOfRangeError(f"value out of range for {type_text(code)}", row, column)


cdef int refuse_decimal(int precision, int scale, Py_ssize_t row, Py_ssize_t column) except -1:
    raise ValueOutOfRangeError(f"value out of range for DECIMAL({precision},{scale})", row, column)


# Days since 1970-01-01 in the proleptic Gregorian calendar, for years 1 to 9999.
cdef inline int64_t days_of(int year, int month, int day) noexcept nogil:
    cdef int y = year - 1 if month <= 2 else year
    cdef int era = y // 400
    cdef int year_of_era = y - era * 400
    cdef int day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    cdef int day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return <int64_t> era * 146097 + day_of_era - 719468


cdef struct Civil:
    int year
    int month
    int day


# The inverse. REQUIRES: DATE_MIN <= days <= DATE_MAX.
cdef inline Civil civil_of(int64_t days) noexcept nogil:
    cdef Civil civil
    cdef int z = <int> days + 719468
    cdef int era = z // 146097
    cdef int day_of_era = z - era * 146097
    cdef int leap_days = day_of_era // 1460 - day_of_era // 36524 + day_of_era // 146096
    cdef int year_of_era = (day_of_era - leap_days) // 365
    cdef int day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    cdef int month = (5 * day_of_year + 2) // 153
    civil.day = day_of_year - (153 * month + 2) // 5 + 1
    civil.month = month + 3 if month < 10 else month - 9
    civil.year = year_of_era + era * 400 + (1 if civil.month <= 2 else 0)
    return civil


cdef inline int64_t floor_divide(int64_t value, int64_t by) noexcept nogil:
    cdef int64_t quotient = value // by
    return quotient - 1 if value % by < 0 else quotient


cdef inline int integer_of(object value, int code, Py_ssize_t row, Py_ssize_t column, int64_t* out) except -1:
    cdef int overflow = 0
    cdef long long integer
    if not PyLong_Check(value) or PyBool_Check(value):
        return refuse_type(value, code, row, column)
    integer = PyLong_AsLongLongAndOverflow(value, &overflow)
    if (
        overflow != 0
        or (code == 3 and integer != <int32_t> integer)
        or (code == 2 and integer != <int16_t> integer)
    ):
        return refuse_range(code, row, column)
    out[0] = integer
    return 0


cdef inline int real_of(object value, int code, Py_ssize_t row, Py_ssize_t column, double* out) except -1:
    cdef double real
    if PyFloat_Check(value):
        real = PyFloat_AS_DOUBLE(value)
    elif PyLong_Check(value) and not PyBool_Check(value):
        try:
            real = PyLong_AsDouble(value)
        except OverflowError:
            return refuse_range(code, row, column)
    else:
        return refuse_type(value, code, row, column)
    if code == 5:
        if isinf(<double> (<float> real)) and not isinf(real):
            return refuse_range(code, row, column)
        real = <double> (<float> real)
    out[0] = real
    return 0


cdef inline int text_of(object value, int code, Py_ssize_t row, Py_ssize_t column, View* out) except -1:
    cdef Py_ssize_t size = 0
    if not PyUnicode_Check(value):
        return refuse_type(value, code, row, column)
    try:
        out.data = PyUnicode_AsUTF8AndSize(value, &size)
    except UnicodeEncodeError:
        raise ValueMismatchError("text with a lone surrogate has no UTF-8 form", row, column) from None
    out.size = size
    return 0


cdef int64_t timestamp_of(object value, Py_ssize_t row, Py_ssize_t column) except? -1:
    cdef int64_t us
    cdef object zone
    cdef object shift
    if not PyDateTime_Check(value):
        return refuse_type(value, 10, row, column)
    if not PyDateTime_CheckExact(value) and value != value:
        # pandas.NaT: a datetime that is not even equal to itself.
        return refuse_type(value, 10, row, column)
    us = days_of(datetime_year(value), datetime_month(value), datetime_day(value)) * 86400
    us += datetime_hour(value) * 3600 + datetime_minute(value) * 60 + datetime_second(value)
    us = us * 1000000 + datetime_microsecond(value)
    zone = datetime_tzinfo(value)
    if zone is not None and zone is not utc:
        shift = value.utcoffset()
        if shift is not None:
            us -= (<int64_t> timedelta_days(shift) * 86400 + timedelta_seconds(shift)) * 1000000
            us -= timedelta_microseconds(shift)
            if us < TIMESTAMP_MIN or us > TIMESTAMP_MAX:
                return refuse_range(10, row, column)
    return us


cdef int64_t date_of(object value, Py_ssize_t row, Py_ssize_t column) except? -1:
    if not PyDate_Check(value) or PyDateTime_Check(value):
        return refuse_type(value, 11, row, column)
    return days_of(date_year(value), date_month(value), date_day(value))


cdef int64_t time_of(object value, Py_ssize_t row, Py_ssize_t column) except? -1:
    cdef int64_t seconds
    if not PyTime_Check(value) or time_tzinfo(value) is not None:
        return refuse_type(value, 12, row, column)
    seconds = time_hour(value) * 3600 + time_minute(value) * 60 + time_second(value)
    return seconds * 1000000 + time_microsecond(value)


# The unscaled integer at `scale`: rounded half up (away from zero), or where `exact` refused
# (ValueMismatchError).
cdef int decimal_of(
    object value, int precision, int scale, bint exact, Py_ssize_t row, Py_ssize_t column, int128* out
) except -1:
    cdef int128 unscaled = 0
    cdef int128 limit = 1
    cdef tuple digits
    cdef Py_ssize_t i
    cdef Py_ssize_t _i
    cdef Py_ssize_t kept
    cdef Py_ssize_t count
    cdef object more
    if not isinstance(value, Decimal):
        return refuse_type(value, 7, row, column)
    sign, digits, exponent = value.as_tuple()
    if not PyLong_Check(exponent):
        raise ValueOutOfRangeError(f"{value} has no place in a DECIMAL", row, column)
    for _i in range(precision):
        limit *= 10
    count = len(digits)
    more = exponent + scale
    if not value:
        out[0] = 0
        return 0
    if count + more > 40:
        refuse_decimal(precision, scale, row, column)
    # No value has more than 39 digits left here, so `more` fits wherever it is used.
    kept = count + more if more < 0 and count + more > 0 else count if more >= 0 else 0
    for i in range(kept):
        unscaled = unscaled * 10 + <int> digits[i]
        if unscaled >= limit:
            refuse_decimal(precision, scale, row, column)
    if more > 0:
        for _i in range(<Py_ssize_t> more):
            unscaled *= 10
            if unscaled >= limit:
                refuse_decimal(precision, scale, row, column)
    elif more < 0:
        if exact and any(digits[kept:]):
            raise ValueMismatchError(f"{value} has more than {scale} digits after the point", row, column)
        if count + more >= 0 and <int> digits[kept] >= 5:
            unscaled += 1
            if unscaled >= limit:
                refuse_decimal(precision, scale, row, column)
    out[0] = -unscaled if sign else unscaled
    return 0


cdef int damaged(str what) except -1:
    raise CorruptionError(f"an encoded row is damaged: {what}", "an encoded row", 0)


cdef inline object text_object(const char* data, size_t size):
    cdef PyObject* text = decode_utf8(data, <Py_ssize_t> size, NULL)
    if text == NULL:
        PyErr_Clear()
        damaged("text that is not UTF-8")
    result = <object> text
    Py_DECREF(result)
    return result


cdef inline object timestamp_object(int64_t us):
    cdef int64_t days = floor_divide(us, DAY_US)
    cdef int64_t rest = us - days * DAY_US
    cdef int seconds = <int> (rest // 1000000)
    cdef Civil civil = civil_of(days)
    return datetime_new(
        civil.year, civil.month, civil.day,
        seconds // 3600, seconds // 60 % 60, seconds % 60, <int> (rest % 1000000), utc
    )


cdef inline object date_object(int64_t days):
    cdef Civil civil = civil_of(days)
    return date_new(civil.year, civil.month, civil.day)


cdef inline object time_object(int64_t us):
    cdef int seconds = <int> (us // 1000000)
    return time_new(seconds // 3600, seconds // 60 % 60, seconds % 60, <int> (us % 1000000), None)


cdef object uuid_object(const char* data):
    # The class's own constructor takes four times as long, all of it for checks that 16 bytes pass.
    value = UuidType.__new__(UuidType)
    PyObject_GenericSetAttr(value, name_int, int.from_bytes(data[:16], "big"))
    PyObject_GenericSetAttr(value, name_is_safe, uuid_is_safe)
    return value


# With exactly `scale` digits after the point.
cdef object decimal_object(int128 value, int scale):
    cdef char text[160]
    cdef char* at = text + 160
    cdef uint128 rest = <uint128> value
    cdef int digits = 0
    if value < 0:
        rest = -rest
    if scale < 0 or scale > 100:
        wide = decimal.Context(prec=60, Emin=-9999, Emax=9999)
        return decimal_object(value, 0).scaleb(-scale, wide)
    while rest != 0 or digits <= scale:
        at -= 1
        at[0] = <char> (48 + <int> (rest % 10))
        rest //= 10
        digits += 1
        if digits == scale:
            at -= 1
            at[0] = b"."
    if value < 0:
        at -= 1
        at[0] = b"-"
    return Decimal(PyUnicode_FromStringAndSize(at, text + 160 - at))


cdef inline object cell_object(int code, int scale, const Cell& cell):
    if code == 8 or code == 14:
        return text_object(cell.bytes.data, cell.bytes.size)
    if code == 2 or code == 3 or code == 4:
        return PyLong_FromLongLong(cell.integer)
    if code == 10:
        if cell.integer < TIMESTAMP_MIN or cell.integer > TIMESTAMP_MAX:
            damaged("a TIMESTAMP out of range")
        return timestamp_object(cell.integer)
    if code == 5 or code == 6:
        return PyFloat_FromDouble(cell.real)
    if code == 1:
        return cell.integer != 0
    if code == 9:
        return PyBytes_FromStringAndSize(cell.bytes.data, <Py_ssize_t> cell.bytes.size)
    if code == 7:
        return decimal_object(cell.decimal, scale)
    if code == 11:
        if cell.integer < DATE_MIN or cell.integer > DATE_MAX:
            damaged("a DATE out of range")
        return date_object(cell.integer)
    if code == 12:
        if cell.integer < 0 or cell.integer >= DAY_US:
            damaged("a TIME out of range")
        return time_object(cell.integer)
    return uuid_object(cell.bytes.data)


cdef int append_key(
    object value, int code, int precision, int scale, bint exact,
    Py_ssize_t row, Py_ssize_t column, string& out
) except -1:
    cdef int64_t integer = 0
    cdef double real = 0
    cdef int128 unscaled = 0
    cdef View view
    if value is None:
        raise NullValueError("a primary key cannot be NULL", row, column)
    if code == 2 or code == 3 or code == 4:
        integer_of(value, code, row, column, &integer)
        append_integer_key(integer, out)
    elif code == 8 or code == 14:
        text_of(value, code, row, column, &view)
        out.append(view.data, view.size)
    elif code == 1:
        if not PyBool_Check(value):
            return refuse_type(value, code, row, column)
        append_boolean_key(value is True, out)
    elif code == 5 or code == 6:
        real_of(value, code, row, column, &real)
        append_real_key(real, out)
    elif code == 7:
        decimal_of(value, precision, scale, exact, row, column, &unscaled)
        append_decimal_key(unscaled, out)
    elif code == 9:
        data = bytes_of(value, row, column)
        out.append(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
    elif code == 10:
        append_integer_key(timestamp_of(value, row, column), out)
    elif code == 11:
        append_integer_key(date_of(value, row, column), out)
    elif code == 12:
        append_integer_key(time_of(value, row, column), out)
    else:
        if not isinstance(value, UuidType):
            return refuse_type(value, code, row, column)
        data = value.bytes
        out.append(PyBytes_AS_STRING(data), 16)
    return 0


cdef bytes bytes_of(object value, Py_ssize_t row, Py_ssize_t column):
    if PyBytes_Check(value):
        return value
    if not PyByteArray_Check(value) and not PyMemoryView_Check(value):
        refuse_type(value, 9, row, column)
    return bytes(value)


cdef object timestamp_value(int64_t us):
    return timestamp_object(us)


cdef int append_key_of(object value, int code, string& out) except -1:
    return append_key(value, code, 38, 0, True, -1, -1, out)


def encode_key(int type_code, object value):
    """Bytes that sort (as memcmp does) like the values of their type. None is refused with NullValueError.

    A DECIMAL's scale comes with the code: DECIMAL | scale << 8; a value with more digits is refused.
    """
    cdef string out
    cdef int code = type_code & 0xFF
    type_of_code(code, -1)
    append_key(value, code, 38, type_code >> 8, True, -1, -1, out)
    return PyBytes_FromStringAndSize(out.data(), <Py_ssize_t> out.size())


def decode_key(int type_code, bytes key not None):
    """The value of a key that encode_key gave for the same code. Raises CorruptionError for other bytes."""
    value = value_of_key(type_code, key)
    try:
        sound = encode_key(type_code, value) == key
    except (ValueMismatchError, ValueOutOfRangeError):
        sound = False
    if not sound:
        raise CorruptionError(f"no value of type {type_text(type_code & 0xFF)} has this key", "a key", 0)
    return value


cdef object value_of_key(int type_code, bytes key):
    """The value of a key, or of bytes that look like one."""
    cdef int code = type_code & 0xFF
    cdef Type type = type_of_code(code, -1)
    cdef size_t width = key_width(type)
    cdef string_view view = string_view(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
    cdef Cell cell
    if width != 0 and view.size() != width:
        raise CorruptionError(
            f"a key of type {type_text(code)} has {width} bytes, not {view.size()}", "a key", 0
        )
    if code == 1:
        return bool(boolean_of_key(view))
    if code == 5 or code == 6:
        return real_of_key(view)
    if code == 7:
        return decimal_object(decimal_of_key(view), type_code >> 8)
    if width == 0 or code == 13:
        cell.bytes.data = view.data()
        cell.bytes.size = view.size()
    else:
        cell.integer = integer_of_key(view)
    return cell_object(code, 0, cell)


def encode_composite_key(object type_codes, object values):
    """Several keys as one that sorts like the tuple; None sorts first."""
    cdef string out
    cdef string part
    cdef int code
    cdef tuple codes = tuple(type_codes)
    cdef tuple items = tuple(values)
    if len(codes) != len(items):
        raise ValueMismatchError(f"a key of {len(codes)} parts got {len(items)} values", -1, -1)
    for i in range(len(codes)):
        code = codes[i] & 0xFF
        type_of_code(code, i)
        if items[i] is None:
            append_null_part(out)
            continue
        part.clear()
        append_key(items[i], code, 38, codes[i] >> 8, True, -1, i, part)
        append_part(<Type> code, string_view(part.data(), part.size()), out)
    return PyBytes_FromStringAndSize(out.data(), <Py_ssize_t> out.size())


@cython.final
cdef class Layout:
    """How the rows of one schema version are laid out.

    `columns`: (column_id, type_code, parameter_1, parameter_2, nullable) in column order; `key` the
    position of
    the primary key in it. Raises ValueMismatchError with the column that cannot be.
    """

    def __init__(self, uint32_t version, object columns, Py_ssize_t key):
        cdef vector[Column] described
        cdef Column column
        cdef Py_ssize_t position
        cdef int required
        for position, (column_id, code, parameter_1, parameter_2, nullable) in enumerate(columns):
            column.id = column_id
            column.type = type_of_code(code, position)
            column.parameter_1 = parameter_1
            column.parameter_2 = parameter_2
            column.nullable = nullable
            described.push_back(column)
            self.codes.push_back(code)
            self.parameters_1.push_back(parameter_1)
            self.parameters_2.push_back(parameter_2)
            required = position == key or not nullable
            self.required.push_back(required)
        self.layout = new_layout(version, described, <size_t> key)

    @property
    def version(self):
        """The schema version, as every row of the layout begins with it."""
        return self.layout.get().version()

    def encode(self, object values):
        """One row. Accepts exactly the Python type of each column; int also for FLOAT and DOUBLE, JSON
        as str.

        Raises ValueMismatchError, ValueOutOfRangeError, NullValueError (column set, row -1).
        """
        cdef string out
        self.write(values, out, -1, False)
        return PyBytes_FromStringAndSize(out.data(), <Py_ssize_t> out.size())

    def key(self, object values):
        """The encoded primary key of a row of values."""
        cdef string out
        self.key_into(values, out, -1)
        return PyBytes_FromStringAndSize(out.data(), <Py_ssize_t> out.size())

    cdef int encode_into(self, object values, string& out, Py_ssize_t row) except -1:
        return self.write(values, out, row, False)

    cdef int key_into(self, object values, string& out, Py_ssize_t row) except -1:
        cdef size_t key = self.layout.get().key()
        cdef size_t before = out.size()
        try:
            append_key(
                values[key], self.codes[key], self.parameters_1[key], self.parameters_2[key], False, row,
                <Py_ssize_t> key, out,
            )
        except BaseException:
            out.resize(before)
            raise
        return 0

    cdef int write(self, object values, string& out, Py_ssize_t row, bint lenient) except -1:
        cdef RowWriter writer
        # A tuple, because a value's own code (utcoffset) may run in between and could change a list.
        cdef tuple items = values if type(values) is tuple else tuple(values)
        if PyTuple_GET_SIZE(items) != <Py_ssize_t> self.codes.size():
            raise ValueMismatchError(
                f"the row has {len(items)} values and the table {self.codes.size()} columns", row, -1
            )
        writer = RowWriter(deref(self.layout), out)
        try:
            write_values(self, items, writer, row, lenient)
            writer.finish(row)
        except BaseException:
            writer.abandon()
            raise
        return 0


cdef int write_values(Layout layout, tuple items, RowWriter& writer, Py_ssize_t row, bint lenient) except -1:
    cdef Py_ssize_t i
    cdef int code
    cdef int limit
    cdef int64_t integer = 0
    cdef double real = 0
    cdef int128 unscaled = 0
    cdef View view
    cdef object value
    cdef bytes data
    for i in range(PyTuple_GET_SIZE(items)):
        value = <object> PyTuple_GET_ITEM(items, i)
        code = layout.codes[i]
        if value is None:
            if layout.required[i] and not lenient:
                raise NullValueError("a required value is missing", row, i)
            writer.set_null(i)
        elif code == 8 or code == 14:
            text_of(value, code, row, i, &view)
            limit = layout.parameters_1[i]
            if limit != 0 and PyUnicode_GET_LENGTH(value) > limit and not lenient:
                raise ValueOutOfRangeError(f"value too long for VARCHAR({limit})", row, i)
            if view.size > kRowBytesMax:
                return refuse_size(view.size, row, i)
            writer.set_bytes(i, view.data, view.size)
        elif code == 2 or code == 3 or code == 4:
            integer_of(value, code, row, i, &integer)
            writer.set_integer(i, integer)
        elif code == 10:
            writer.set_integer(i, timestamp_of(value, row, i))
        elif code == 5 or code == 6:
            real_of(value, code, row, i, &real)
            writer.set_real(i, real)
        elif code == 1:
            if not PyBool_Check(value):
                return refuse_type(value, code, row, i)
            writer.set_integer(i, value is True)
        elif code == 9:
            data = bytes_of(value, row, i)
            if <size_t> PyBytes_GET_SIZE(data) > kRowBytesMax:
                return refuse_size(PyBytes_GET_SIZE(data), row, i)
            writer.set_bytes(i, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        elif code == 7:
            decimal_of(value, layout.parameters_1[i], layout.parameters_2[i], False, row, i, &unscaled)
            writer.set_decimal(i, unscaled)
        elif code == 11:
            writer.set_integer(i, date_of(value, row, i))
        elif code == 12:
            writer.set_integer(i, time_of(value, row, i))
        else:
            if not isinstance(value, UuidType):
                return refuse_type(value, code, row, i)
            data = value.bytes
            writer.set_uuid(i, PyBytes_AS_STRING(data))
    return 0


cdef int refuse_size(size_t size, Py_ssize_t row, Py_ssize_t column) except -1:
    raise ValueOutOfRangeError(
        f"the value takes {size} bytes; a row may take {kRowBytesMax} (16 MB)", row, column
    )


@cython.final
cdef class Reader:
    """Reads rows of any version of a table as the columns of its newest.

    `layouts`: every version, the newest last. `missing`: for each column of the newest, the value that rows
    written before the column read (None for NULL). A column whose type was widened is converted; one
    that cannot
    be is refused with ValueMismatchError.
    """

    def __init__(self, object layouts, object missing):
        cdef vector[SharedLayout] versions
        cdef string missing_row
        cdef Layout newest = None
        cdef Layout layout
        for layout in layouts:
            versions.push_back(layout.layout)
            newest = layout
        if newest is None:
            raise ValueMismatchError("a reader needs at least one layout", -1, -1)
        newest.write(missing, missing_row, -1, True)
        self.codes.assign(newest.codes.begin(), newest.codes.end())
        self.scales.assign(newest.parameters_2.begin(), newest.parameters_2.end())
        self.reader = make_reader(versions, missing_row)

    cdef vector[int] positions(self, object columns) except *:
        cdef vector[int] positions
        cdef Py_ssize_t count = <Py_ssize_t> self.codes.size()
        if columns is None:
            for i in range(count):
                positions.push_back(i)
            return move(positions)
        for column in columns:
            if not -3 <= column < count:
                raise IndexError(f"there is no column {column} in a table of {count}")
            positions.push_back(column)
        return move(positions)

    def decode(self, bytes row not None, object columns=None):
        """The row's values at these positions of the newest version, or all. Raises CorruptionError.

        A row alone has no sequence number, so the system columns read as of 0.
        """
        cdef vector[int] positions = self.positions(columns)
        return self.decode_view(PyBytes_AS_STRING(row), PyBytes_GET_SIZE(row), positions, 0, False)

    cdef object decode_view(
        self, const char* data, size_t size, const vector[int]& columns, uint64_t sequence, bint deleted
    ):
        cdef FullRowReader* reader = <FullRowReader*> self.reader.get()
        cdef RowView view = reader.open(data, size)
        cdef Cell cell
        cdef int column
        cdef Py_ssize_t i
        cdef Py_ssize_t count = <Py_ssize_t> columns.size()
        cdef object value
        cdef tuple values = PyTuple_New(count)
        for i in range(count):
            column = columns[i]
            if column >= 0:
                cell = reader.cell(view, column)
                value = None if cell.null else cell_object(self.codes[column], self.scales[column], cell)
            elif column == -1:
                value = PyLong_FromLongLong(<long long> sequence)
            elif column == -2:
                value = timestamp_object(updated_us(sequence))
            else:
                value = deleted != 0
            Py_INCREF(value)
            PyTuple_SET_ITEM(values, i, value)
        return values


cdef void release_schema(object capsule) noexcept:
    cdef ArrowSchema* schema = <ArrowSchema*> PyCapsule_GetPointer(capsule, "arrow_schema")
    if schema.release != NULL:
        schema.release(schema)
    free(schema)


cdef void release_array(object capsule) noexcept:
    cdef ArrowArray* array = <ArrowArray*> PyCapsule_GetPointer(capsule, "arrow_array")
    if array.release != NULL:
        array.release(array)
    free(array)


@cython.final
cdef class Batch:
    """Rows as Arrow columns f0, f1, …, for whoever asks by the Arrow PyCapsule interface, as often as
    it asks."""

    def __len__(self):
        return self.batch.rows()

    def __arrow_c_schema__(self):
        cdef ArrowSchema* schema = <ArrowSchema*> malloc(sizeof(ArrowSchema))
        if schema == NULL:
            raise MemoryError
        schema.release = NULL
        capsule = PyCapsule_New(schema, "arrow_schema", release_schema)
        self.batch.export_schema(schema)
        return capsule

    def __arrow_c_array__(self, requested_schema=None):
        """(schema capsule, array capsule). A requested schema is not followed, as the interface allows."""
        cdef ArrowArray* array = <ArrowArray*> malloc(sizeof(ArrowArray))
        if array == NULL:
            raise MemoryError
        array.release = NULL
        capsule = PyCapsule_New(array, "arrow_array", release_array)
        self.batch.export_array(array)
        return self.__arrow_c_schema__(), capsule


cdef Batch make_batch(CppArrowBatch batch):
    cdef Batch made = Batch.__new__(Batch)
    made.batch = batch
    return made


def rows_to_arrow(Reader reader not None, object rows, object columns=None):
    """Encoded rows as an object with `__arrow_c_array__` (a struct of canonical types, without names:
    f0, f1, …).

    Raises CorruptionError, and ValueOutOfRangeError where one batch cannot hold the text (2 GiB).
    """
    cdef tuple held = tuple(rows)
    cdef vector[int] positions = reader.positions(columns)
    cdef vector[RowRef] refs
    cdef RowRef ref
    cdef bytes row
    cdef unique_ptr[ArrowBuilder] builder
    cdef size_t taken
    ref.sequence = 0
    ref.deleted = False
    refs.reserve(len(held))
    for row in held:
        ref.data = PyBytes_AS_STRING(row)
        ref.size = PyBytes_GET_SIZE(row)
        refs.push_back(ref)
    builder.reset(new ArrowBuilder(deref(reader.reader), positions))
    with nogil:
        taken = builder.get().append(refs.data(), refs.size())
    if taken < refs.size():
        raise ValueOutOfRangeError(
            "the rows hold more text than one Arrow batch takes (2 GiB)", <Py_ssize_t> taken, -1
        )
    return make_batch(builder.get().finish())


cdef unique_ptr[ArrowInput] import_batch(object batch) except *:
    cdef unique_ptr[ArrowInput] made
    cdef ArrowSchema* schema
    cdef ArrowArray* array
    export = getattr(batch, "__arrow_c_array__", None)
    if export is None:
        raise TypeError(
            f"{type(batch).__name__} has no __arrow_c_array__; "
            "pass a record batch (of a table, its batches one by one)"
        )
    capsules = export()
    schema = <ArrowSchema*> PyCapsule_GetPointer(capsules[0], "arrow_schema")
    array = <ArrowArray*> PyCapsule_GetPointer(capsules[1], "arrow_array")
    made.reset(<ArrowInput*> new FullArrowInput(schema, array))
    return move(made)


def rows_from_arrow(Layout layout not None, object batch):
    """(key, row) for each row of a record batch whose columns are exactly the layout's, in canonical
    Arrow types.

    Slices are honoured. Raises as Layout.encode with row and column; row -1 where a column's type is another.
    """
    cdef unique_ptr[ArrowInput] input = import_batch(batch)
    cdef unique_ptr[ArrowRowEncoder] encoder
    cdef EncodedRows encoded
    cdef int64_t count = input.get().rows()
    cdef int64_t begin = 0
    cdef int64_t end
    cdef size_t i
    cdef uint64_t key_begin
    cdef uint64_t row_begin
    cdef list result = []
    encoder.reset(new ArrowRowEncoder(deref(layout.layout), deref(input)))
    while begin < count:
        end = min(begin + 8192, count)
        encoded.clear()
        with nogil:
            encoder.get().encode(begin, end, encoded)
        key_begin = 0
        row_begin = 0
        for i in range(encoded.size()):
            result.append((
                PyBytes_FromStringAndSize(encoded.keys.data() + key_begin, encoded.key_ends[i] - key_begin),
                PyBytes_FromStringAndSize(encoded.rows.data() + row_begin, encoded.row_ends[i] - row_begin),
            ))
            key_begin = encoded.key_ends[i]
            row_begin = encoded.row_ends[i]
        begin = end
    return result


cdef double half_of(uint16_t bits) noexcept nogil:
    cdef int exponent = (bits >> 10) & 31
    cdef int fraction = bits & 1023
    cdef double value
    if exponent == 31:
        value = INFINITY if fraction == 0 else NAN
    elif exponent == 0:
        value = fraction / 16777216.0
    else:
        value = <double> (1024 + fraction) * (1 << exponent) / 33554432.0
    return -value if bits & 0x8000 else value


# Microseconds of a count of units; refused where they are out of [low, high].
cdef inline int64_t microseconds_of(
    int64_t value, int64_t unit_ns, int64_t low, int64_t high, int code, Py_ssize_t row, Py_ssize_t column
) except? -1:
    cdef int64_t factor
    cdef int64_t us = value
    if unit_ns > 1000:
        factor = unit_ns // 1000
        if value > high // factor or value < low // factor - 1:
            return refuse_range(code, row, column)
        us = value * factor
    elif unit_ns < 1000:
        us = floor_divide(value, 1000)
    if us < low or us > high:
        return refuse_range(code, row, column)
    return us


cdef inline object arrow_object(const ArrowColumn* column, Py_ssize_t row, Py_ssize_t position):
    cdef const char* at = <const char*> column.values
    cdef int64_t index = column.offset + row
    cdef ArrowKind kind = column.kind
    cdef string_view view
    cdef int64_t integer
    if kind == ArrowKind.kDecimal:
        if column.width == 16:
            return decimal_object(load[int128](at + 16 * index), column.scale)
        if column.width == 8:
            return decimal_object(<int128> load[int64_t](at + 8 * index), column.scale)
        return decimal_object(<int128> load[int32_t](at + 4 * index), column.scale)
    if kind == ArrowKind.kTime:
        integer = load[int32_t](at + 4 * index) if column.width == 4 else load[int64_t](at + 8 * index)
        return time_object(microseconds_of(integer, column.unit_ns, 0, DAY_US - 1, 12, row, position))
    if kind == ArrowKind.kDate32 or kind == ArrowKind.kDate64:
        if kind == ArrowKind.kDate32:
            integer = load[int32_t](at + 4 * index)
        else:
            integer = floor_divide(load[int64_t](at + 8 * index), 86400000)
        if integer < DATE_MIN or integer > DATE_MAX:
            refuse_range(11, row, position)
        return date_object(integer)
    if kind == ArrowKind.kInt8:
        return PyLong_FromLongLong(load[int8_t](at + index))
    if kind == ArrowKind.kUInt8:
        return PyLong_FromLongLong(load[uint8_t](at + index))
    if kind == ArrowKind.kInt16:
        return PyLong_FromLongLong(load[int16_t](at + 2 * index))
    if kind == ArrowKind.kUInt16:
        return PyLong_FromLongLong(load[uint16_t](at + 2 * index))
    if kind == ArrowKind.kUInt32:
        return PyLong_FromLongLong(load[uint32_t](at + 4 * index))
    if kind == ArrowKind.kUInt64:
        return PyLong_FromUnsignedLongLong(load[uint64_t](at + 8 * index))
    if kind == ArrowKind.kHalf:
        return PyFloat_FromDouble(half_of(load[uint16_t](at + 2 * index)))
    if kind == ArrowKind.kFloat:
        return PyFloat_FromDouble(load[float](at + 4 * index))
    if kind == ArrowKind.kBool:
        return ((<const uint8_t*> at)[index >> 3] >> (index & 7)) & 1 != 0
    try:
        view = column.view(row)
    except ValueMismatchError as error:
        raise ValueMismatchError(str(error), row, position) from None
    if kind == ArrowKind.kText or kind == ArrowKind.kLargeText or kind == ArrowKind.kTextView:
        return arrow_text(view, row, position)
    return PyBytes_FromStringAndSize(view.data(), <Py_ssize_t> view.size())


cdef inline object arrow_text(string_view view, Py_ssize_t row, Py_ssize_t position):
    cdef PyObject* text = decode_utf8(view.data(), <Py_ssize_t> view.size(), NULL)
    if text == NULL:
        PyErr_Clear()
        raise ValueMismatchError("text that is not valid UTF-8", row, position)
    result = <object> text
    Py_DECREF(result)
    return result


# Sets item `position` of the tuples of rows [begin, end). The commonest types have loops of their own.
cdef int fill_column(
    const ArrowColumn* column, list tuples, Py_ssize_t begin, Py_ssize_t end, Py_ssize_t position
) except -1:
    cdef const char* at = <const char*> column.values
    cdef ArrowKind kind = column.kind
    cdef Py_ssize_t row
    cdef int64_t us
    cdef object value
    if kind == ArrowKind.kInt64:
        for row in range(begin, end):
            value = None
            if not column.is_null(row):
                value = PyLong_FromLongLong(load[int64_t](at + 8 * (column.offset + row)))
            set_item(tuples, row, position, value)
    elif kind == ArrowKind.kInt32:
        for row in range(begin, end):
            value = None
            if not column.is_null(row):
                value = PyLong_FromLongLong(load[int32_t](at + 4 * (column.offset + row)))
            set_item(tuples, row, position, value)
    elif kind == ArrowKind.kDouble:
        for row in range(begin, end):
            value = None
            if not column.is_null(row):
                value = PyFloat_FromDouble(load[double](at + 8 * (column.offset + row)))
            set_item(tuples, row, position, value)
    elif kind == ArrowKind.kTimestamp:
        for row in range(begin, end):
            value = None
            if not column.is_null(row):
                us = load[int64_t](at + 8 * (column.offset + row))
                us = microseconds_of(us, column.unit_ns, TIMESTAMP_MIN, TIMESTAMP_MAX, 10, row, position)
                value = timestamp_object(us)
            set_item(tuples, row, position, value)
    else:
        for row in range(begin, end):
            value = None if column.is_null(row) else arrow_object(column, row, position)
            set_item(tuples, row, position, value)
    return 0


cdef inline void set_item(list tuples, Py_ssize_t row, Py_ssize_t position, object value) noexcept:
    Py_INCREF(value)
    PyTuple_SET_ITEM(<object> tuples[row], position, value)


def tuples_from_arrow(object batch):
    """A record batch as tuples of Python values. Timestamps are aware, UTC; nanoseconds are cut to
    microseconds.

    Raises ValueMismatchError with row -1 and its column for a type it does not know (dictionaries,
    lists, structs).
    """
    cdef unique_ptr[ArrowInput] held = import_batch(batch)
    cdef FullArrowInput* input = <FullArrowInput*> held.get()
    cdef const ArrowColumn* column
    cdef Py_ssize_t columns = <Py_ssize_t> input.columns().size()
    cdef Py_ssize_t count = input.rows()
    cdef Py_ssize_t i
    cdef Py_ssize_t row
    cdef Py_ssize_t begin = 0
    cdef Py_ssize_t end
    cdef list tuples
    for i in range(columns):
        column = &input.columns()[i]
        if column.kind == ArrowKind.kUnknown:
            raise ValueMismatchError(
                f"Arrow format {column.format.decode('utf-8', 'replace')} (a dictionary, list or struct) "
                "is not turned into values here", -1, i
            )
    tuples = [None] * count
    if columns == 0:
        return [()] * count
    # So many rows at a time that the tuples are still in the cache when the next column fills them.
    while begin < count:
        end = min(begin + 512, count)
        for row in range(begin, end):
            tuples[row] = PyTuple_New(columns)
        for i in range(columns):
            fill_column(&input.columns()[i], tuples, begin, end, i)
        begin = end
    return tuples
