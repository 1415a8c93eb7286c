"""What is wrong with a message of a client before a live query is looked at."""

from __future__ import annotations

from kalamdb.errors import InterfaceError, OperationalError


class InvalidMessage(InterfaceError):
    """The message is none of those that there are: its form, its members, its order."""

    code = "INVALID_MESSAGE"
    sqlstate = "08P01"


class MessageTooLarge(InterfaceError):
    """The message is larger than `websocket_message_bytes_max`, as it came or once it is unpacked."""

    code = "MESSAGE_TOO_LARGE"
    sqlstate = "54000"


class UnknownSubscription(InterfaceError):
    """The connection has no subscription of this id."""

    code = "NOT_FOUND"
    sqlstate = "42704"


class DuplicateSubscription(InterfaceError):
    """The connection has a subscription of this id already, which goes on."""

    code = "DUPLICATE_SUBSCRIPTION"
    sqlstate = "42710"


class UnsupportedOption(InterfaceError):
    """The options ask for what there is not."""

    code = "UNSUPPORTED"
    sqlstate = "0A000"


class NotAuthenticated(OperationalError):
    """The first message did not say who the client is, or did not come."""

    code = "AUTH_REQUIRED"
    sqlstate = "28000"
