"""Where requests come from."""

import pytest

from kalamdb.server.peer import Peers


def scope(peer: str | None, *forwarded: str) -> dict:
    return {
        "client": None if peer is None else (peer, 1),
        "headers": [(b"x-forwarded-for", one.encode("latin-1")) for one in forwarded],
    }


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "wanted"),
    [
        (None, "192.0.2.1", ["6.6.6.6"], "192.0.2.1"),
        (None, None, ["6.6.6.6"], "local"),
        ("10.0.0.1", "192.0.2.1", ["6.6.6.6"], "192.0.2.1"),
        ("10.0.0.1", "10.0.0.1", ["6.6.6.6"], "6.6.6.6"),
        ("10.0.0.1", "10.0.0.1", ["6.6.6.6, 192.0.2.9"], "192.0.2.9"),
        ("10.0.0.1", "10.0.0.1", ["6.6.6.6", "192.0.2.9"], "192.0.2.9"),
        ("10.0.0.0/8, 2001:db8::/32", "10.0.0.1", ["192.0.2.9, 2001:db8::7"], "192.0.2.9"),
        ("10.0.0.0/8", "10.0.0.1", ["6.6.6.6, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.0/8", "10.0.0.1", ["6.6.6.6, 192.0.2.9:80"], "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
        ("10.0.0.0/8", None, ["6.6.6.6"], "local"),
    ],
)
def test_the_address_is_that_of_whom_no_proxy_of_ours_can_have_invented(
    trusted, peer, forwarded, wanted
) -> None:
    assert Peers(trusted).address_of(scope(peer, *forwarded)) == wanted
