"""What keeps the app to its own page."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


def is_foreign(origin: str, host: str) -> bool:
    """Return whether a page of ``origin`` is another one than that at ``host``.

    Args:
        origin: the header of that name; empty: no page asked, or the page itself by a link.
        host: the header of that name, such as ``127.0.0.1:7860``.
    """
    return bool(origin) and urlsplit(origin).netloc.lower() != host.lower()


class RefuseForeign:
    """ASGI middleware that answers 403 to requests which pages of other sites make.

    Without it any site that is open in the same browser could run the networks.

    Args:
        app: what answers the others.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        headers = {
            name.lower(): value.decode("latin-1") for name, value in scope.get("headers", ())
        }
        if not is_foreign(headers.get(b"origin", ""), headers.get(b"host", "")):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            text = (b"content-type", b"text/plain")
            await send({"type": "http.response.start", "status": 403, "headers": [text]})
            body = b"This page belongs to another site than the app.\n"
            await send({"type": "http.response.body", "body": body})
