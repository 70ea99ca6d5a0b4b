"""Reads what a request says: its body, JSON fields and numbers."""

import asyncio
import json
import re
from typing import Any

from starlette.requests import ClientDisconnect, Request

from labor_jax.annotation.labelling_tool.http_errors import RequestError

MAX_BODY = 4 * 2**20
"""The largest body of a request, in bytes."""

BODY_SECONDS = 60.0
"""How long a client may take to send a body."""

_NUMBER = re.compile(r"[0-9]{1,9}")


async def read_body(request: Request) -> bytes:
    """A request's body.

    Raises:
      RequestError: If it is larger than `MAX_BODY`, cut off, or takes longer than `BODY_SECONDS`.
    """
    body, length = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                length += len(chunk)
                if length > 4 * MAX_BODY:
                    break
                # Read slightly too large ones to the end: many clients read the answer only then.
                if length <= MAX_BODY:
                    body.append(chunk)
    except TimeoutError as error:
        raise RequestError(408, f"The request took longer than {BODY_SECONDS:.0f} s.") from error
    except ClientDisconnect as error:
        raise RequestError(400, "The request was cut off.") from error
    if length > MAX_BODY:
        raise RequestError(
            413, f"The request is too large: a body has at most {MAX_BODY // 2**20} MiB."
        )
    return b"".join(body)


def parse_fields(body: bytes) -> dict[str, Any]:
    """The fields of a JSON object.

    Raises:
      ValueError: If the body is not one.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError("the request's body is not JSON") from error
    if not isinstance(fields, dict):
        raise ValueError('the request\'s body is not a JSON object, {"name": value, ...}')
    return fields


def parse_number(text: str, what: str) -> int:
    """A whole number of at most 9 digits.

    Raises:
      ValueError: If the text is not one; the error calls it `what`.
    """
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{what} is not a whole number of at most 9 digits")
    return int(text)
