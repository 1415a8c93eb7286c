"""GET /: a page that says what this is. It loads nothing, from here or from anywhere else."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from kalamdb.server.call import Header
from kalamdb.version import __version__

if TYPE_CHECKING:
    from kalamdb.server.call import Call

_STYLE = "body{font:16px/1.5 system-ui,sans-serif;max-width:42em;margin:4em auto;padding:0 1em}code{font-size:.9em}"
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>kalamdb</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>kalamdb {__version__}</h1>
<p>This is a kalamdb server: an SQL database with one small, private, live database per user.</p>
<p>Log in at <code>POST /v1/api/auth/login</code> for an access token, and send statements to
<code>POST /v1/api/sql</code> with it.</p>
<ul>
<li><a href="v1/api/openapi.json">every call, as OpenAPI</a></li>
<li><a href="v1/api/healthcheck">whether it is healthy</a></li>
<li><a href="v1/api/auth/status">whether it is set up</a></li>
</ul>
</body>
</html>
""".encode()
HEADERS: tuple[Header, ...] = (
    (b"content-type", b"text/html; charset=utf-8"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        % _STYLE_HASH.encode(),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


async def front_page(call: Call) -> None:
    """The page."""
    await call.answer(200, PAGE, *HEADERS)
