"""What is wrong with a request before its statement is looked at."""

from __future__ import annotations

from kalamdb.errors import InterfaceError, OperationalError


class MissingAuthorization(OperationalError):
    """The request says not who sends it; send `Authorization: Bearer …`."""

    code = "MISSING_AUTHORIZATION"
    sqlstate = "28000"


class InvalidRequest(InterfaceError):
    """The request is not what the call takes: its JSON, its members, its headers."""

    code = "INVALID_REQUEST"
    sqlstate = "08P01"


class UnknownPath(InterfaceError):
    """There is nothing at this path."""

    code = "NOT_FOUND"
    sqlstate = "08P01"


class MethodNotAllowed(InterfaceError):
    """The path takes other methods. `methods`: which."""

    code = "METHOD_NOT_ALLOWED"
    sqlstate = "08P01"

    def __init__(self, message: str, *, methods: tuple[str, ...]) -> None:
        super().__init__(message)
        self.methods = methods


class UnsupportedMediaType(InterfaceError):
    """The body is of a kind, or in an encoding, that the call does not take."""

    code = "UNSUPPORTED_MEDIA_TYPE"
    sqlstate = "08P01"


class RequestTooLarge(InterfaceError):
    """The body is larger than `request_bytes_max`."""

    code = "REQUEST_TOO_LARGE"
    sqlstate = "54000"


class HeadersTooLarge(InterfaceError):
    """More headers, or more bytes of them, than `request_headers_max` and `request_headers_bytes_max` allow."""

    code = "HEADERS_TOO_LARGE"
    sqlstate = "54000"


class RequestTimeout(OperationalError):
    """The body did not come within `request_timeout_s`."""

    code = "REQUEST_TIMEOUT"
    sqlstate = "57014"


class ResultTooLarge(OperationalError):
    """The rows take more than `result_bytes_max`."""

    code = "RESULT_TOO_LARGE"
    sqlstate = "54000"


class ServerClosing(OperationalError):
    """The server is going down; send it again, to another one or later."""

    code = "SERVER_CLOSING"
    sqlstate = "57P01"


class ClientGone(Exception):
    """The client went away before its request was whole: there is nobody to tell."""
