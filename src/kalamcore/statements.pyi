"""SQL text to tokens in one pass: limits (depth, terms, length), and literals lifted out."""

from typing import final

# Token kinds
WORD: int  # 1: identifier or keyword, value folded to lower case
QUOTED: int  # 2: "identifier", value without quotes
STRING: int  # 3: 'text', value unescaped
BYTES: int  # 4: X'00ff', value bytes
INTEGER: int  # 5: value int
NUMBER: int  # 6: 1.5 (value Decimal) or 1e5 (value float)
PARAMETER: int  # 7: ? or $n, value 0-based index
OPERATOR: int  # 8: value the operator's text; punctuation included: ( ) , ; . [ ] : :: -> ->> ...

@final
class Scan:
    """One statement, scanned. `literals`, `rows`, `tokens` and `words` are built anew at each access."""
    @property
    def kind(self) -> str:
        """Its first word in upper case ('' when empty; '(' when it begins with a parenthesis)."""
    @property
    def shape(self) -> str:
        """The text without comments, whitespace normalised, words folded, each liftable literal replaced by `\\x01`
        and a letter of its kind (i integer, I integer beyond 64 bits, n exact number, e floating, s string, b bytes),
        and each run of VALUES rows that are nothing but literals replaced by `\\x02`. Two statements of one shape
        parse to the same tree but for the lifted values. Literals that belong to a type (INTERVAL '1 day', TIMESTAMP
        '…', DATE '…', VARCHAR(10), CAST(… AS DECIMAL(10,2))) are not lifted,
        nor are the ordinals of ORDER BY and GROUP BY. Only SELECT, INSERT, UPDATE, DELETE, WITH, VALUES and EXPLAIN
        have literals lifted; the shape of any other statement holds them as written, passwords included."""
    @property
    def literals(self) -> list[object]: ...
    @property
    def rows(self) -> list[tuple[object, ...]] | None:
        """The rows of `INSERT … VALUES` where every cell is a literal (NULL, TRUE, FALSE, signed numbers, strings,
        bytes); None otherwise."""
    @property
    def parameters(self) -> int:
        """How many parameters it takes: the number of `?`, or the highest `$n`."""
    @property
    def tokens(self) -> list[tuple[int, int, int, object]]:
        """(kind, start, end, value), positions in characters of the text that was given."""
    @property
    def words(self) -> frozenset[str]:
        """Every folded word and quoted identifier in it: what it can name."""

def split(sql: str, *, statements_max: int = 250_000) -> list[tuple[int, int]]:
    """Start and end of each statement of a batch, in characters, without its `;` and surrounding blanks and comments;
    empty statements are left out. Raises InvalidTextError (a string, comment or quoted name without end) and
    LimitExceededError (more than `statements_max` statements)."""

def scan(
    sql: str,
    *,
    text_bytes_max: int = 1_000_000,
    insert_bytes_max: int = 16_000_000,
    depth_max: int = 100,
    terms_max: int = 1000,
    union_arms_max: int = 200,
    parameters_max: int = 65535,
) -> Scan:
    """One statement. Raises LimitExceededError (position, and a message naming the limit) and InvalidTextError
    (unterminated string, comment or identifier; a character that begins nothing; NUL; `?` and `$n` mixed)."""
