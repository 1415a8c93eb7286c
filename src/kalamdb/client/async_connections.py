"""HTTP for asyncio, by httpx."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalamdb.client.address import Address
from kalamdb.client.steps import Answer, Request
from kalamdb.errors import ConnectionLost, DatabaseClosed, ServerTimeout, ServerUnreachable

if TYPE_CHECKING:
    import ssl

    import httpx

CONNECT_S_MAX = 10.0
CONNECTIONS_MAX = 100


class AsyncConnections:
    """For one event loop; any number of tasks."""

    def __init__(self, address: Address, tls: ssl.SSLContext | None) -> None:
        self._address = address
        self._tls = tls
        self._client: httpx.AsyncClient | None = None
        self._closed = False

    def _opened(self) -> httpx.AsyncClient:
        if self._closed:
            raise DatabaseClosed("the client was closed; make a new one")
        if self._client is None:
            import ssl

            import httpx

            # One that is never used, where all is plain HTTP: httpx would load all certificates of the system.
            context = self._tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            limits = httpx.Limits(max_connections=CONNECTIONS_MAX)
            self._client = httpx.AsyncClient(verify=context, trust_env=False, limits=limits)
        return self._client

    async def send(self, request: Request) -> Answer:
        """The answer, all of it. Raises ServerUnreachable, ConnectionLost, ServerTimeout, DatabaseClosed."""
        client = self._opened()
        import httpx

        timeout = httpx.Timeout(request.timeout_s, connect=min(request.timeout_s, CONNECT_S_MAX))
        url = self._address.url
        try:
            answer = await client.request(
                request.method,
                url + request.path,
                content=request.body,
                headers={"User-Agent": "kalamdb", **request.headers},
                timeout=timeout,
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise ServerUnreachable(
                f"no connection to {url}: {error}; see whether the server runs there"
            ) from error
        except httpx.TimeoutException as error:
            raise ServerTimeout(f"{url} did not answer in time (timeout_s)") from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise ConnectionLost(
                f"the connection to {url} was lost: {error or type(error).__name__}"
            ) from error
        return Answer(answer.status_code, answer.headers, answer.content)

    async def close(self) -> None:
        """Nothing is sent from here on."""
        self._closed = True
        if self._client is not None:
            await self._client.aclose()
