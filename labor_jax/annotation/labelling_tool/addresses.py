"""The addresses at which people visit the labelling tool."""

import contextlib
import ipaddress
import re
import urllib.parse

_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_PORTS = {"http": 80, "https": 443}
"""The schemes, and the ports that an origin doesn't name."""


def origin_of(given: str) -> str:
    """The origin of an address, as browsers write it: "https://label.example.com".

    Args:
      given: The address; or a name alone or with a port, which HTTPS leads to.

    Raises:
      ValueError: It is none, or has a path.
    """
    scheme, _, place = given.strip().lower().rpartition("://")
    scheme, place = scheme or "https", place.removesuffix("/")
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(place).version == 6:
            place = f"[{place}]"
    try:
        parts = urllib.parse.urlsplit(f"//{place}")
        name, port = (parts.hostname or "").removesuffix("."), parts.port
        if ":" in name:
            name = f"[{ipaddress.ip_address(name)}]"
    except ValueError:
        name = ""
    is_name = name.startswith("[") or _NAME.fullmatch(name)
    if not is_name or scheme not in _PORTS or parts.netloc != place or "@" in place:
        raise ValueError(
            f"{given!r} is no address at which a browser finds the tool. Give a name such as "
            "label.example.com, with scheme and port where these aren't HTTPS's: "
            "http://label.example.com:8080. Letters beyond a to z are written as xn--…"
        )
    return f"{scheme}://{name}" + ("" if port in (None, _PORTS[scheme]) else f":{port}")
