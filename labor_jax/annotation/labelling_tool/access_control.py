"""Who may use the labelling tool's server: checks every request before anything else reads it."""

import hashlib
import hmac
import ipaddress
import json
import urllib.parse
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labor_jax.annotation.labelling_tool import addresses

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")

_CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; base-uri 'none'; "
    "form-action 'self'; object-src 'none'; frame-ancestors "
)

_HEADERS = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class AccessControl:
    """Passes requests on to an app if they come from its own page, or know the token.

    - The `Host` must be one that the server was started for. Otherwise any web page could reach it
      under a name of its own (DNS rebinding).
    - If there is a token, a request must carry it as `Authorization: Bearer`, or as the cookie that
      a visit of `/?token=…` sets.
    - A write must be JSON from the same origin, which no other page can send through the user's
      browser.
    - No other page may show the app in a frame, unless it is one of `frame_ancestors`. Otherwise
      it could make people click on what they don't see.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Iterable[str],
        any_address: bool = False,
        token: str | None,
        frame_ancestors: Iterable[str] = (),
        proxy_origins: Iterable[str] = (),
    ):
        """Controls the access to an app.

        Args:
          app: The app.
          hosts: The names and addresses at which it is visited, without ports.
          any_address: Also accept any IP address as `Host`. A server that listens on all addresses
            doesn't know them, and rebinding needs a name, not an address.
          token: The secret that a request must know; None admits everybody.
          frame_ancestors: The pages that may show the app in a frame, as sources of a
            Content-Security-Policy: "http://localhost:*".
          proxy_origins: The origins, "https://NAME", at which a proxy shows the app. Some proxies
            pass their own name on as `Host`, others replace it by that of this machine.

        Raises:
          ValueError: One of `proxy_origins` is no origin.
        """
        self._app = app
        ancestors = tuple(frame_ancestors)
        self._headers = {
            **_HEADERS,
            "content-security-policy": _CONTENT_SECURITY_POLICY + (" ".join(ancestors) or "'none'"),
        }
        if not ancestors:
            self._headers["x-frame-options"] = "DENY"
        self._proxy_origins = frozenset(origin.lower() for origin in proxy_origins)
        self._hosts = frozenset(host.lower() for host in hosts).union(
            map(_name_of_origin, self._proxy_origins)
        )
        self._any_address = any_address
        self._token = None
        if token is not None:
            self._token = token.encode()
            # All ports of a host share cookies, so each server needs its own cookie name.
            digest = hashlib.sha256(b"labor_jax cookie " + self._token).hexdigest()
            self._cookie_name, self._cookie = f"labor_jax_{digest[:8]}", digest[8:]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on to the app, or refuses it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        visit = self._is_visit(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    added[name] = value
                if "cache-control" not in added:
                    added["cache-control"] = "no-store"
                if visit:
                    added["set-cookie"] = (
                        f"{self._cookie_name}={self._cookie}; HttpOnly; SameSite=Strict; Path=/"
                    )
            await send(message)

        refusal = (
            self._wrong_host(headers)
            or (None if visit else self._unknown_visitor(headers))
            or self._cross_site_write(scope, headers)
        )
        if refusal is None:
            await self._app(scope, receive, send_with_headers)
            return
        status, sentence = refusal
        await send_with_headers(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-type", b"application/json")],
            }
        )
        await send_with_headers(
            {"type": "http.response.body", "body": json.dumps({"error": sentence}).encode()}
        )

    def _wrong_host(self, headers: Headers) -> tuple[int, str] | None:
        hosts = headers.getlist("host")
        name = _host_name(hosts[0]) if len(hosts) == 1 else None
        if name in self._hosts or (self._any_address and _is_address(name)):
            return None
        return 403, (
            "The labelling tool was not started for this address. Open the address that it "
            "printed, or start it with --allow_host=NAME."
        )

    def _is_visit(self, scope: Scope) -> bool:
        """Whether this opens the page with the right token in its address."""
        if self._token is None or scope["path"] != "/" or scope["method"] not in ("GET", "HEAD"):
            return False
        query = urllib.parse.parse_qs(scope["query_string"].decode("latin-1"))
        return self._is_token(query.get("token", [""])[0])

    def _unknown_visitor(self, headers: Headers) -> tuple[int, str] | None:
        if self._token is None:
            return None
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(token.strip()):
            return None
        if self._has_cookie(headers):
            return None
        return 401, (
            "The labelling tool needs its token: open the whole address that it printed, including "
            "?token=… at its end."
        )

    def _has_cookie(self, headers: Headers) -> bool:
        # Not http.cookies: it drops all cookies if it can't read one of them, even another
        # program's, and takes minutes for a long cookie with many backslashes.
        return any(
            name == self._cookie_name and hmac.compare_digest(value.encode(), self._cookie.encode())
            for header in headers.getlist("cookie")
            for name, _, value in (each.strip().partition("=") for each in header.split(";"))
        )

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(errors="replace"), self._token)

    def _cross_site_write(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        if scope["method"] in ("GET", "HEAD"):
            return None
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        own = {f"{scheme}://{headers['host']}" for scheme in ("http", "https")}
        own |= self._proxy_origins
        if (origin is not None and origin not in own) or site not in (None, "same-origin"):
            return 403, f"Only the labelling tool's own page may write.{_remedy(origin, site)}"
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return 415, "A write must be JSON, with the Content-Type application/json."
        return None


def _remedy(origin: str | None, site: str | None) -> str:
    """What to do if a write comes from the tool's own page, shown by a proxy."""
    try:
        is_address = origin is not None and addresses.origin_of(origin) == origin
    except ValueError:
        is_address = False
    if not is_address or site not in (None, "same-origin"):
        return ""
    return f" Start the tool with --allow_host={origin} if a proxy shows it at that address."


def _host_name(host: str) -> str | None:
    """The name or address in a `Host` header, without its port."""
    try:
        return urllib.parse.urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _name_of_origin(origin: str) -> str:
    parts = urllib.parse.urlsplit(origin)
    # Without a name it would admit requests without a `Host`.
    if not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}":
        raise ValueError(f"{origin!r} is no origin; write it as https://NAME.")
    return parts.hostname


def _is_address(name: str | None) -> bool:
    try:
        ipaddress.ip_address(name or "")
    except ValueError:
        return False
    return True
