# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""SQL text to tokens in one pass: limits (depth, terms, length), and literals lifted out.

The pass that every statement pays makes its shape and notes where its literals stand. Tokens, words and values are
built when they are asked for: a statement whose shape is known needs only its values.
"""

cimport cython
from cpython.long cimport PyLong_FromLongLong
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint32_t, uint64_t

from decimal import Decimal

from kalamcore.errors import InvalidTextError, LimitExceededError

cdef extern from *:
    """
    // PyUnicode_IS_ASCII is a macro that wants a PyASCIIObject.
    static inline int kalam_is_ascii(PyObject* text) { return PyUnicode_IS_ASCII(text); }
    """
    bint kalam_is_ascii(object text)
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

WORD = 1
QUOTED = 2
STRING = 3
BYTES = 4
INTEGER = 5
NUMBER = 6
PARAMETER = 7
OPERATOR = 8


cdef const char* utf8(str text, Py_ssize_t* size) except NULL:
    """The text's bytes, which live as long as it does."""
    try:
        return PyUnicode_AsUTF8AndSize(text, size)
    except UnicodeEncodeError as error:
        raise InvalidTextError(
            f"half of a surrogate pair (U+{ord(text[error.start]):04X}) is no character", error.start) from None


cdef class _Positions:
    """Byte offsets to characters, for offsets that only grow."""
    cdef const char* data
    cdef bint ascii
    cdef uint32_t byte
    cdef uint32_t character

    cdef uint32_t at(self, uint32_t offset):
        if self.ascii:
            return offset
        self.character += <uint32_t> characters(string_view(self.data + self.byte, offset - self.byte), offset)
        self.byte = offset
        return self.character


cdef _Positions positions(const char* data, bint ascii):
    cdef _Positions made = _Positions.__new__(_Positions)
    made.data = data
    made.ascii = ascii
    return made


cdef inline object integer(const char* data, uint32_t start, uint32_t end):
    cdef long long number = 0
    cdef uint32_t at
    if end - start > 18:
        return int(data[start:end].decode("ascii"))
    for at in range(start, end):
        number = number * 10 + (data[at] - 48)
    return PyLong_FromLongLong(number)


@cython.final
@cython.freelist(16)
cdef class Scan:
    """One statement, scanned. `literals`, `rows`, `tokens` and `words` are built anew at each access."""

    def __cinit__(self):
        self.data = ""
        self.shape = ""

    @property
    def kind(self):
        """Its first word in upper case ('' when empty; '(' when it begins with a parenthesis)."""
        return self.data[self.core.kind_start:self.core.kind_end].decode("utf-8").upper()

    @property
    def literals(self):
        """The values that \\x01 stands for in the shape, in its order."""
        cdef size_t i
        cdef CppLiteral literal
        cdef list values = []
        for i in range(self.core.literals.size()):
            literal = self.core.literals[i]
            values.append(self.value(literal.kind, literal.start, literal.end, literal.doubled, literal.exponent))
        return values

    @property
    def rows(self):
        """The rows of INSERT ... VALUES where every cell is a literal; None otherwise."""
        if self.core.rows_end == 0:
            return None
        cdef CppRowReader* reader = new CppRowReader(string_view(self.data, self.size), self.core)
        cdef CppLiteral literal
        cdef list rows = []
        cdef list cells
        try:
            while reader.row():
                cells = []
                while reader.cell(literal):
                    if literal.kind == kWord:
                        if self.data[literal.start] | 32 == c'n':
                            cells.append(None)
                        else:
                            cells.append(self.data[literal.start] | 32 == c't')
                        continue
                    value = self.value(literal.kind, literal.start, literal.end, literal.doubled, literal.exponent)
                    if literal.negative:
                        # Minus itself would round a Decimal to the precision of the context.
                        value = value.copy_negate() if type(value) is Decimal else -value
                    cells.append(value)
                rows.append(tuple(cells))
        finally:
            del reader
        return rows

    @property
    def parameters(self):
        """How many parameters it takes: the number of `?`, or the highest `$n`."""
        return self.core.parameters

    @property
    def tokens(self):
        """(kind, start, end, value), positions in characters of the text that was given."""
        cdef CppLexer* lexer = new CppLexer(string_view(self.data, self.core.end), 0)
        cdef CppToken token
        cdef list tokens = []
        cdef _Positions where = positions(self.data, self.ascii)
        cdef uint32_t start
        cdef uint32_t marks = 0
        try:
            while True:
                lexer.next(token)
                if token.kind == kEnd:
                    return tokens
                start = where.at(token.start)
                if token.kind == kParameter:
                    value = token.index - 1 if token.index else marks
                    marks += 1
                elif token.kind == kOperator:
                    if self.data[token.start] == c';':
                        continue
                    value = self.data[token.start:token.end].decode("ascii")
                elif token.kind == kWord:
                    value = fold(self.data, token.start, token.end)
                else:
                    value = self.value(token.kind, token.start, token.end, token.doubled, token.exponent)
                tokens.append((<int> token.kind, start, where.at(token.end), value))
        finally:
            del lexer

    @property
    def words(self):
        """Every folded word and quoted identifier in it: what it can name."""
        cdef CppLexer* lexer = new CppLexer(string_view(self.data, self.core.end), 0)
        cdef CppToken token
        cdef set words = set()
        try:
            while True:
                lexer.next(token)
                if token.kind == kEnd:
                    return frozenset(words)
                if token.kind == kWord:
                    words.add(fold(self.data, token.start, token.end))
                elif token.kind == kQuoted:
                    words.add(self.value(token.kind, token.start, token.end, token.doubled, False))
        finally:
            del lexer

    cdef object value(self, TokenKind kind, uint32_t start, uint32_t end, bint doubled, bint exponent):
        cdef string plain
        if kind == kInteger:
            return integer(self.data, start, end)
        if kind == kString or kind == kQuoted:
            if not doubled:
                return PyUnicode_DecodeUTF8(self.data + start + 1, end - start - 2, NULL)
            unquote(string_view(self.data, self.size), start, end, plain)
            return PyUnicode_DecodeUTF8(plain.data(), plain.size(), NULL)
        if kind == kBytes:
            return bytes.fromhex(self.data[start + 2:end - 1].decode("ascii"))
        text = self.data[start:end].decode("ascii")
        if not exponent:
            return Decimal(text)
        number = float(text)
        if number == float("inf"):
            raise InvalidTextError(
                f"{text[:40]} is out of range for DOUBLE",
                characters(string_view(self.data, self.size), start))
        return number

    def __repr__(self):
        return f"<Scan {self.shape!r}>"


cdef str fold(const char* data, uint32_t start, uint32_t end):
    # ASCII alone is folded, as DataFusion and PostgreSQL do: what the letters of other scripts fold to depends on
    # a language, and two readers of one text must agree on its names.
    cdef string folded
    cdef uint32_t at
    cdef char c
    folded.reserve(end - start)
    for at in range(start, end):
        c = data[at]
        folded.push_back(c + 32 if c'A' <= c <= c'Z' else c)
    return PyUnicode_DecodeUTF8(folded.data(), folded.size(), NULL)


def split(str sql not None, *, uint32_t statements_max=250_000):
    """Start and end of each statement of a batch, in characters, without its `;` and surrounding blanks and comments.

    Empty statements are left out. Raises InvalidTextError (a string, comment or quoted name without end, with its
    position) and LimitExceededError (more than `statements_max` statements).
    """
    cdef Py_ssize_t size = 0
    cdef const char* data = utf8(sql, &size)
    cdef string_view view = string_view(data, size)
    cdef vector[pair[uint32_t, uint32_t]] spans
    if size > 16384:
        with nogil:
            spans = cpp_split(view, statements_max)
    else:
        spans = cpp_split(view, statements_max)
    cdef _Positions where = positions(data, kalam_is_ascii(sql))
    cdef list statements = []
    cdef size_t i
    cdef uint32_t start
    for i in range(spans.size()):
        start = where.at(spans[i].first)
        statements.append((start, where.at(spans[i].second)))
    return statements


def scan(
    str sql not None, *, uint64_t text_bytes_max=1_000_000, uint64_t insert_bytes_max=16_000_000,
    uint32_t depth_max=100, uint32_t terms_max=1000, uint32_t union_arms_max=200, uint32_t parameters_max=65535
):
    """One statement.

    Raises LimitExceededError (position, and a message naming the limit) and InvalidTextError (unterminated string,
    comment or identifier; a character that begins nothing; NUL; `?` and `$n` mixed; a second statement).
    """
    cdef uint64_t bytes_max = max(text_bytes_max, insert_bytes_max)
    cdef uint64_t length = PyUnicode_GET_LENGTH(sql)
    cdef Scan made
    cdef CppScanLimits limits
    cdef Py_ssize_t size = 0
    cdef string_view view
    # Before it is encoded: a text much too long is not even copied.
    if length > bytes_max:
        raise LimitExceededError(
            too_large(length, bytes_max, not kalam_is_ascii(sql)).decode("ascii"), 0)
    limits.text_bytes_max = text_bytes_max
    limits.insert_bytes_max = insert_bytes_max
    limits.depth_max = depth_max
    limits.terms_max = terms_max
    limits.union_arms_max = union_arms_max
    limits.parameters_max = parameters_max
    made = Scan.__new__(Scan)
    made.text = sql
    made.data = utf8(sql, &size)
    made.ascii = kalam_is_ascii(sql)
    view = string_view(made.data, size)
    if size > 16384:
        with nogil:
            cpp_scan(view, limits, made.core)
    else:
        cpp_scan(view, limits, made.core)
    made.size = <uint32_t> size
    made.shape = PyUnicode_DecodeUTF8(made.core.shape.data(), made.core.shape.size(), NULL)
    return made
