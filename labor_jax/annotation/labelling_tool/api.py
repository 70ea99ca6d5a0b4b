"""The JSON API by which the page labels a run's items."""

import asyncio
import concurrent.futures
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, NamedTuple, get_args

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from labor_jax import __version__
from labor_jax.annotation.labelling_tool import api_replies
from labor_jax.annotation.labelling_tool.http_errors import RequestError
from labor_jax.annotation.labelling_tool.http_requests import (
    parse_fields,
    parse_number,
    read_body,
)
from labor_jax.annotation.labelling_tool.item import Item
from labor_jax.annotation.labelling_tool.item_history import ItemState
from labor_jax.annotation.labelling_tool.labelling_service import LabellingService
from labor_jax.annotation.labelling_tool.leases import Lease
from labor_jax.annotation.labelling_tool.pool_images import PoolImages
from labor_jax.annotation.labelling_tool.progress import ItemStatus
from labor_jax.data.base import IGNORE_LABEL, DataError, Pair

logger = logging.getLogger(__name__)

_MAX_ROWS = 1000
# Most threads wait for a transaction; one transaction serves all that wait at the same time.
_THREADS = 32
# How old other annotators' progress may be in the reply to a step, in seconds.
_MAX_AGE = 1.0

_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Settings(NamedTuple):
    """What a run's config says about labelling; see `config.annotation`.

    Attributes:
      show_guess: Whether people see the model's labels.
      superpixels: Whether the page divides the segments of a mask along edges of the image, and
        offers to label superpixels.
      lease_seconds: How long an annotator keeps an item without renewing the lease.
      second_opinion: The share of the items that is answered twice.
    """

    show_guess: bool = False
    superpixels: bool = True
    lease_seconds: float = 120.0
    second_opinion: float = 0.0


class Run(NamedTuple):
    """What the page says about the run that asks.

    Attributes:
      name: Its workdir's name.
      method: Its method.
      data: Identifies its data, so that its images are not mistaken for another run's.
      command: The command that continues it, if known.
      advice: How to continue it, as a sentence.
    """

    name: str
    method: str
    data: str
    command: str | None
    advice: str


class Api:
    """Answers the page's requests, in threads that each have their own connection to the file."""

    def __init__(
        self,
        service: LabellingService,
        pair: Pair,
        run: Run,
        settings: Settings,
        on_complete: Callable[[int], None],
    ):
        """Answers requests; the arguments are those of `make_app`."""
        self._service = service
        self._pair = pair
        self._run = run
        self._settings = settings
        self._on_complete = on_complete
        self._completed: set[int] = set()
        self._run_id = service.reader.store.run
        self._images = PoolImages(pair.pool, f"{self._run_id}/{run.data}")
        self._threads = concurrent.futures.ThreadPoolExecutor(_THREADS, "annotation")
        # Images have threads of their own: they take long, and marks shouldn't wait for them.
        self._image_threads = concurrent.futures.ThreadPoolExecutor(2, "images")

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Lets the threads finish what they have begun when the server stops."""
        yield
        self._threads.shutdown()
        self._image_threads.shutdown()

    def get(self, answer: Callable[[Request], Any]) -> _Handler:
        """Makes a handler of GET requests from a function of the request."""

        async def handle(request: Request) -> Response:
            return await self._reply(lambda: answer(request))

        return handle

    def post(self, answer: Callable[..., Any]) -> _Handler:
        """Makes a handler of POST requests from a function of JSON fields and path parameters."""

        async def handle(request: Request) -> Response:
            body = await read_body(request)

            def answered() -> Any:
                fields = parse_fields(body)
                self._check_run(fields.get("run_id"))
                return answer(fields, **request.path_params)

            return await self._reply(answered)

        return handle

    def _check_run(self, run_id: Any) -> None:
        """Refuses what a page sends to the run that was served at this address before."""
        if run_id not in (None, self._run_id):
            # 503, because the page sends it again: that run may be served here again.
            raise RequestError(
                503,
                "this page's run isn't served here now; reload the page to label the run "
                f"{self._run.name}",
            )

    async def _reply(self, answer: Callable[[], Any]) -> Response:
        def encoded() -> bytes:
            return json.dumps(answer(), separators=(",", ":")).encode()

        body = await asyncio.get_running_loop().run_in_executor(self._threads, encoded)
        return Response(body, media_type="application/json")

    # Questions.

    def session(self, request: Request) -> dict[str, Any]:
        """What doesn't change while people label a round."""
        round = self._service.reader.current_round()
        return {
            "run": self._run.name,
            "run_id": self._run_id,
            "pair": self._pair.name,
            "method": self._run.method,
            "round": round,
            "kind": None if round is None else self._service.reader.kind(round),
            "round_complete": round is not None and self._service.progress.of_round(round).complete,
            "command": self._run.command,
            "continue": self._run.advice,
            "classes": [
                {"number": number, "name": name, "color": "#{:02x}{:02x}{:02x}".format(*color)}
                for number, (name, color) in enumerate(
                    zip(self._pair.classes, self._pair.palette.tolist(), strict=True)
                )
            ],
            "void": IGNORE_LABEL,
            "settings": self._settings._asdict(),
            "version": __version__,
        }

    def progress(self, request: Request) -> dict[str, Any]:
        """How far the newest round is."""
        return self._progress(0.0)

    def items(self, request: Request) -> dict[str, Any]:
        """Some rows of the list of a round's items."""
        parameters = request.query_params
        status = parameters.get("state")
        if status not in (None, *get_args(ItemStatus)):
            raise ValueError(f"state is one of {', '.join(get_args(ItemStatus))}")
        offset = parse_number(parameters.get("offset", "0"), "offset")
        limit = min(parse_number(parameters.get("limit", "100"), "limit"), _MAX_ROWS)
        round = self._service.reader.current_round()
        if "round" in parameters:
            round = parse_number(parameters["round"], "round")
        rows = (
            []
            if round is None
            else self._service.progress.items(round, status, offset=offset, limit=limit)
        )
        return {
            "items": [
                api_replies.row_reply(self._images, row)
                for row in rows
                if row.item.image in self._images
            ]
        }

    async def image(self, request: Request) -> Response:
        """An image at the size of its label map, as a PNG."""
        text = request.path_params["number"]
        try:
            number = parse_number(text, "number")
        except ValueError:
            number = len(self._images)
        if number >= len(self._images):
            raise RequestError(404, "There is no such image.")
        try:
            png = await asyncio.get_running_loop().run_in_executor(
                self._image_threads, self._images.png, number
            )
        except (DataError, OSError) as error:
            logger.error("Image %s: %s", text, error)
            raise RequestError(500, f"The image can't be read: {error}") from error
        headers = {"etag": png.tag}
        # A page of the run that was served here before still asks for its own version.
        if request.query_params.get("v") == self._images.version(number):
            headers["cache-control"] = "private, max-age=31536000, immutable"
        if png.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(png.content, media_type="image/png", headers=headers)

    # Steps.

    def next(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Hands out the annotator's next item."""
        wishes = {
            name: self._images.item(fields[name], name)
            for name in ("prefer", "after")
            if fields.get(name) is not None
        }
        lease = self._service.next(fields.get("annotator"), **wishes)
        if lease is None:
            return {"item": None, "progress": self._progress(0.0)}
        return self._hand_out(lease)

    def reopen(self, fields: dict[str, Any], item: str) -> dict[str, Any]:
        """Hands out the item that the annotator asks for."""
        return self._hand_out(
            self._service.reopen(
                self._images.item(item),
                fields.get("annotator"),
                fields.get("request"),
                fields.get("seconds", 0.0),
            )
        )

    def mark(self, fields: dict[str, Any], item: str) -> dict[str, Any]:
        """Labels pixels."""
        return self._label(self._service.mark, fields, item)

    def toggle(self, fields: dict[str, Any], item: str) -> dict[str, Any]:
        """Adds a class to parts, or takes it away."""
        return self._label(self._service.toggle, fields, item)

    def _label(
        self, take: Callable[..., ItemState], fields: dict[str, Any], item: str
    ) -> dict[str, Any]:
        named = self._images.item(item)
        state = take(
            named,
            fields.get("lease"),
            fields.get("request"),
            fields.get("label"),
            fields.get("pixels"),
            fields.get("seconds", 0.0),
        )
        return self._item_state(named, state)

    def undo(self, fields: dict[str, Any], item: str) -> dict[str, Any]:
        """Undoes the last mark."""
        return self._step(self._service.undo, fields, item)

    def redo(self, fields: dict[str, Any], item: str) -> dict[str, Any]:
        """Restores the mark that was undone last."""
        return self._step(self._service.redo, fields, item)

    def skip(self, fields: dict[str, Any], item: str) -> dict[str, Any]:
        """Gives an item back unanswered."""
        return self._step(self._service.skip, fields, item)

    def submit(self, fields: dict[str, Any], item: str) -> dict[str, Any]:
        """Makes an item's labels its answer, and reports the round if it was the last one."""
        reply = self._step(self._service.submit, fields, item)
        round = self._images.item(item).round
        if (
            round not in self._completed
            and self._service.progress.of_round(round, max_age=_MAX_AGE).complete
        ):
            self._completed.add(round)
            self._on_complete(round)
        return reply

    def renew(self, fields: dict[str, Any], item: str) -> dict[str, Any]:
        """Renews an item's lease."""
        named = self._images.item(item)
        return self._item_state(named, self._service.renew(named, fields.get("lease")))

    def release(self, fields: dict[str, Any], item: str) -> dict[str, Any]:
        """Ends an item's lease."""
        named = self._images.item(item)
        return self._item_state(named, self._service.release(named, fields.get("lease")))

    # Replies.

    def _step(
        self, take: Callable[..., ItemState], fields: dict[str, Any], item: str
    ) -> dict[str, Any]:
        named = self._images.item(item)
        state = take(named, fields.get("lease"), fields.get("request"), fields.get("seconds", 0.0))
        return self._item_state(named, state)

    def _hand_out(self, lease: Lease) -> dict[str, Any]:
        question = self._service.reader.question(lease.item)
        item = api_replies.item_reply(
            self._images, lease, question, shows_guess=self._settings.show_guess
        )
        state = self._service.reader.state(lease.item)
        return {"item": {**item, **self._item_state(lease.item, state)}}

    def _item_state(self, item: Item, state: ItemState) -> dict[str, Any]:
        question = self._service.reader.question(item)
        return {
            **api_replies.labels_reply(question, state),
            "progress": self._progress(_MAX_AGE),
        }

    def _progress(self, max_age: float) -> dict[str, Any]:
        round = self._service.reader.current_round()
        progress = (
            None if round is None else self._service.progress.of_round(round, max_age=max_age)
        )
        return api_replies.progress_reply(progress, self._pair.classes)
