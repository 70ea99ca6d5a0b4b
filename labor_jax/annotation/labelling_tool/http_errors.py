"""Turns what goes wrong in a request into a status and a sentence for the annotator."""

import json
import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from labor_jax.annotation.label_store import LabelStoreError
from labor_jax.annotation.labelling_tool.item import UnknownItemError
from labor_jax.annotation.labelling_tool.leases import LeaseLostError

logger = logging.getLogger(__name__)

_SENTENCES = {
    404: "There is nothing at this address.",
    405: "This address doesn't support this method.",
}


class RequestError(Exception):
    """A request that can't be served, with the HTTP status and the sentence to answer."""

    def __init__(self, status: int, sentence: str):
        """Answers with this status and sentence."""
        super().__init__(sentence)
        self.status = status


def _explain(request: Request, error: Exception) -> Response:
    match error:
        case RequestError():
            status = error.status
        case LeaseLostError():
            status = 409
        case UnknownItemError():
            status = 404
        case LabelStoreError():
            logger.error("%s", error)
            status = 503
        case _:
            status = 400
    return _error(status, str(error))


def _explain_http(request: Request, error: HTTPException) -> Response:
    sentence = _SENTENCES.get(error.status_code, str(error.detail))
    return _error(error.status_code, sentence, error.headers)


def _explain_bug(request: Request, error: Exception) -> Response:
    # Starlette raises the error again, so the console shows it.
    return _error(500, "The server failed; its console shows why. It is safe to try again.")


def _error(status: int, sentence: str, headers: Any = None) -> Response:
    # Not JSONResponse: it fails on text that isn't valid Unicode, which a request may contain.
    body = json.dumps({"error": sentence})
    return Response(body, status, headers=headers, media_type="application/json")


EXCEPTION_HANDLERS = {
    HTTPException: _explain_http,
    RequestError: _explain,
    ValueError: _explain,
    LeaseLostError: _explain,
    UnknownItemError: _explain,
    LabelStoreError: _explain,
    Exception: _explain_bug,
}
"""What answers each exception, for Starlette."""
