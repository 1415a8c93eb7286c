"""What the core raises. Each class mirrors one of cpp/errors.hpp."""

class CoreError(Exception): ...

class IoError(CoreError):
    errno: int
    operation: str
    path: str

class CorruptionError(CoreError):
    path: str
    offset: int

class PoisonedError(CoreError): ...
class OutcomeUnknownError(CoreError): ...

class LockedError(CoreError):
    owner: int

class UnknownFormatError(CoreError): ...

class LimitExceededError(CoreError):
    position: int

class InvalidTextError(CoreError):
    position: int

class ValueMismatchError(CoreError):
    row: int
    column: int

class ValueOutOfRangeError(CoreError):
    row: int
    column: int

class NullValueError(CoreError):
    row: int
    column: int

class DuplicateKeyError(CoreError):
    operation: int

class WriteConflictError(CoreError):
    operation: int

class HistoryGoneError(CoreError): ...

class ColdMissError(CoreError):
    table_id: int
    partition: bytes
    blocks: list[tuple[int, int]]
