"""What a client does, apart from how: generators that ask for requests and pauses, and are given the answers.

`Client` and `AsyncClient` run the same generators, the one by waiting in a thread, the other in an event loop.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class Request:
    """To be sent, and answered by an `Answer`. Raises ServerUnreachable, ConnectionLost, ServerTimeout.

    `timeout_s`: for each time that something is waited for. `stream`: the answer's body is left to be read, if its
    status is 200 and it is Arrow."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 60.0
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers`: by their names in lower case. `stream`: what the body is read from, instead of `body`."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    stream: Any = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is to be done for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class OneAtATime:
    """Steps that no other thread or task of the client does at the same time; answered by what they come to."""

    steps: Steps[Any]


Steps = Generator[Request | Pause | OneAtATime, Any, Outcome]
