"""The labelling tool's server: the page, and the JSON by which it works on a run's label store.

Stateless but for caches: everything is in the store's file, so that the server may be killed at any
time, and several may serve one run. A step is acknowledged after its transaction is committed.
Images and items are named by numbers; no path of a request reaches the file system.
"""

import asyncio
import concurrent.futures
import contextlib
import functools
import hashlib
import importlib.resources
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, NamedTuple, get_args

import numpy as np
from PIL import Image
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from labor_jax import __version__
from labor_jax.annotation import runs
from labor_jax.annotation.database import LabelStoreError
from labor_jax.annotation.guard import Guard
from labor_jax.annotation.history import State
from labor_jax.annotation.items import Item, UnknownItemError
from labor_jax.annotation.overview import Agreement, ItemRow, ItemState, Progress
from labor_jax.annotation.work import Lease, LeaseLostError, Work
from labor_jax.data import transforms
from labor_jax.data.base import IGNORE_LABEL, DataError, Pair

logger = logging.getLogger(__name__)

MAX_BODY = 4 * 2**20
"""Bytes of a request's body."""

_CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_ITEM = re.compile(r"([0-9]{1,9})-([0-9]{1,9})-([12])")
_NUMBER = re.compile(r"[0-9]{1,9}")
_MAX_ROWS = 1000
# Most of them wait for a transaction, which serves all who wait at once.
_THREADS = 32
_CACHED_IMAGES = 64
# Seconds by which a step's answer may tell late of others' progress.
_MAX_AGE = 1.0


class Settings(NamedTuple):
    """What a run's config says about labelling; see `config.annotation`.

    Attributes:
      show_guess: Whether people see the model's labels.
      superpixels: Whether the page offers to label superpixels.
      lease_seconds: How long an annotator keeps an item without a sign of life.
      second_opinion: The share of the items that is answered twice.
    """

    show_guess: bool = False
    superpixels: bool = True
    lease_seconds: float = 120.0
    second_opinion: float = 0.0


class Run(NamedTuple):
    """The run that asks, as the page tells of it.

    Attributes:
      name: Its workdir's name.
      method: Its method.
      data: What tells its images from those of another run.
      command: What goes on with it, if that is known.
      advice: How to go on with it, as a sentence.
    """

    name: str
    method: str
    data: str
    command: str | None
    advice: str


class _RequestError(Exception):
    """A request that can't be understood; with the status and the sentence to answer."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status = status


def make_app(
    work: Work,
    pair: Pair,
    run: Run,
    settings: Settings,
    *,
    hosts: Iterable[str],
    any_address: bool = False,
    token: str | None = None,
    on_complete: Callable[[int], None] = lambda round: None,
) -> ASGIApp:
    """Builds the labelling tool.

    Args:
      work: The work on the run's label store.
      pair: The run's data.
      run: What the page tells of the run.
      settings: What people may see and do.
      hosts: The names and addresses at which it is visited; see `Guard`.
      any_address: Whether any IP address is one of them.
      token: What every request has to know, or None.
      on_complete: Called with the round's number when an answer was its last.

    Returns:
      The app.
    """
    tool = _Tool(work, pair, run, settings, on_complete)
    page = _page_files()

    async def index(request: Request) -> Response:
        return await page_file(request, "index.html")

    async def page_file(request: Request, name: str | None = None) -> Response:
        name = name or request.path_params["name"]
        if name not in page:
            what = "page" if name == "index.html" else "such file"
            raise _RequestError(404, f"The labelling tool's installation has no {what}.")
        media_type = _CONTENT_TYPES[name[name.rindex(".") :]]
        content = page[name].read_bytes()
        return Response(content, media_type=media_type, headers={"cache-control": "no-cache"})

    def get(answer: Callable[[Request], Any]):
        async def handle(request: Request) -> Response:
            return await tool.reply(lambda: answer(request))

        return handle

    def post(answer: Callable[..., Any]):
        async def handle(request: Request) -> Response:
            body = await _body(request)
            return await tool.reply(lambda: answer(_fields(body), **request.path_params))

        return handle

    steps = {
        name: functools.partial(tool.step, name) for name in ("undo", "redo", "submit", "skip")
    }
    app = Starlette(
        routes=[
            Route("/", index),
            Route("/page/{name}", page_file),
            Route("/api/session", get(tool.session)),
            Route("/api/progress", get(tool.progress)),
            Route("/api/items", get(tool.items)),
            Route("/api/images/{number}.png", tool.image),
            Route("/api/next", post(tool.next), methods=["POST"]),
            Route("/api/items/{item}/marks", post(tool.mark), methods=["POST"]),
            Route("/api/items/{item}/renew", post(tool.renew), methods=["POST"]),
            Route("/api/items/{item}/reopen", post(tool.reopen), methods=["POST"]),
            *(
                Route(f"/api/items/{{item}}/{name}", post(step), methods=["POST"])
                for name, step in steps.items()
            ),
        ],
        exception_handlers={
            HTTPException: _explain_http,
            _RequestError: _explain,
            ValueError: _explain,
            LeaseLostError: _explain,
            UnknownItemError: _explain,
            LabelStoreError: _explain,
            Exception: _apologise,
        },
        lifespan=tool.lifespan,
    )
    return Guard(app, hosts=hosts, any_address=any_address, token=token)


class _Tool:
    """The answers to the page's questions; they run in threads, each with its own connection."""

    def __init__(
        self,
        work: Work,
        pair: Pair,
        run: Run,
        settings: Settings,
        on_complete: Callable[[int], None],
    ):
        self._work = work
        self._pair = pair
        self._run = run
        self._settings = settings
        self._on_complete = on_complete
        self._completed: set[int] = set()
        self._numbers = {name: number for number, name in enumerate(pair.pool.names)}
        self._png = functools.lru_cache(_CACHED_IMAGES)(self._encoded)
        # Images have threads of their own: they take long, and marks shouldn't wait for them.
        self._threads = concurrent.futures.ThreadPoolExecutor(_THREADS, "annotation")
        self._image_threads = concurrent.futures.ThreadPoolExecutor(2, "images")

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Ends the threads with the server, after what they have begun."""
        yield
        self._threads.shutdown()
        self._image_threads.shutdown()

    async def reply(self, answer: Callable[[], Any]) -> Response:
        """Answers in a thread."""

        def encoded() -> bytes:
            return json.dumps(answer(), separators=(",", ":")).encode()

        body = await asyncio.get_running_loop().run_in_executor(self._threads, encoded)
        return Response(body, media_type="application/json")

    # Questions.

    def session(self, request: Request) -> dict[str, Any]:
        """What doesn't change while people label a round."""
        round = self._work.current_round()
        return {
            "run": self._run.name,
            "pair": self._pair.name,
            "method": self._run.method,
            "round": round,
            "kind": None if round is None else self._work.kind(round),
            "round_complete": round is not None and self._work.progress(round).complete,
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
        """The overview: a part of a round's items."""
        parameters = request.query_params
        state = parameters.get("state")
        if state not in (None, *get_args(ItemState)):
            raise ValueError(f"state is one of {', '.join(get_args(ItemState))}")
        offset = _number(parameters.get("offset", "0"), "offset")
        limit = min(_number(parameters.get("limit", "100"), "limit"), _MAX_ROWS)
        round = self._work.current_round()
        if "round" in parameters:
            round = _number(parameters["round"], "round")
        rows = [] if round is None else self._work.items(round, state, offset=offset, limit=limit)
        return {"items": [self._row(row) for row in rows if row.item.image in self._numbers]}

    async def image(self, request: Request) -> Response:
        """An image at its label's size, as a PNG."""
        number = request.path_params["number"]
        if not _NUMBER.fullmatch(number) or int(number) >= len(self._numbers):
            raise _RequestError(404, "There is no such image.")
        try:
            png, tag = await asyncio.get_running_loop().run_in_executor(
                self._image_threads, self._png, int(number)
            )
        except (DataError, OSError) as error:
            logger.error("Image %s: %s", number, error)
            raise _RequestError(500, f"The image can't be read: {error}") from error
        headers = {"etag": tag, "cache-control": "private, max-age=31536000, immutable"}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(png, media_type="image/png", headers=headers)

    # Steps.

    def next(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Gives out an item."""
        wishes = {
            name: self._item(fields[name], name)
            for name in ("prefer", "after")
            if fields.get(name) is not None
        }
        lease = self._work.next(fields.get("annotator"), **wishes)
        if lease is None:
            return {"item": None, "progress": self._progress(0.0)}
        return self._given(lease)

    def reopen(self, fields: dict[str, Any], item: str) -> dict[str, Any]:
        """Gives out the item that is asked for."""
        return self._given(
            self._work.reopen(
                self._item(item),
                fields.get("annotator"),
                fields.get("request"),
                fields.get("seconds", 0.0),
            )
        )

    def mark(self, fields: dict[str, Any], item: str) -> dict[str, Any]:
        """Labels pixels."""
        named = self._item(item)
        state = self._work.mark(
            named,
            fields.get("lease"),
            fields.get("request"),
            fields.get("label"),
            fields.get("pixels"),
            fields.get("seconds", 0.0),
        )
        return self._after(named, state)

    def step(self, name: str, fields: dict[str, Any], item: str) -> dict[str, Any]:
        """Undoes, redoes, submits or skips."""
        named = self._item(item)
        take = getattr(self._work, name)
        state = take(named, fields.get("lease"), fields.get("request"), fields.get("seconds", 0.0))
        if (
            name == "submit"
            and named.round not in self._completed
            and self._work.progress(named.round, max_age=_MAX_AGE).complete
        ):
            self._completed.add(named.round)
            self._on_complete(named.round)
        return self._after(named, state)

    def renew(self, fields: dict[str, Any], item: str) -> dict[str, Any]:
        """Keeps an item."""
        named = self._item(item)
        return self._after(named, self._work.renew(named, fields.get("lease")))

    # What they tell.

    def _given(self, lease: Lease) -> dict[str, Any]:
        item = lease.item
        question, number = self._work.question(item), self._number(item)
        guess = question.guess if self._settings.show_guess else None
        return {
            "item": {
                "id": self._id(item),
                "lease": lease.token,
                "round": item.round,
                "number": number,
                "name": item.image,
                "height": question.shape[0],
                "width": question.shape[1],
                "kind": question.kind,
                "image": self._image_address(number),
                "asked": runs.as_list(question.asked),
                "guess": None if guess is None else runs.label_runs(question.asked, guess),
                "pixels": question.asked.pixels,
                **self._after(item, self._work.state(item)),
            }
        }

    def _after(self, item: Item, state: State) -> dict[str, Any]:
        return {
            "labels": runs.label_runs(self._work.question(item).asked, state.labels),
            "remaining": state.remaining,
            "can_undo": state.done is not None,
            "can_redo": state.undone is not None,
            "seconds": state.seconds,
            "progress": self._progress(_MAX_AGE),
        }

    def _row(self, row: ItemRow) -> dict[str, Any]:
        number = self._number(row.item)
        return {
            "id": self._id(row.item),
            "number": number,
            "name": row.item.image,
            "round": row.item.round,
            "opinion": row.item.opinion,
            "image": self._image_address(number),
            "state": row.state,
            "pixels": row.pixels,
            "remaining": row.remaining,
            "annotator": row.annotator,
            "seconds": row.seconds,
        }

    def _progress(self, max_age: float) -> dict[str, Any]:
        round = self._work.current_round()
        if round is None:
            progress = Progress(None, 0, 0, 0, 0, 0, None, None, (), Agreement(0, *[None] * 2), 0)
        else:
            progress = self._work.progress(round, max_age=max_age)
        told = progress._asdict()
        told["round_complete"] = round is not None and progress.complete
        told["annotators"] = [annotator._asdict() for annotator in progress.annotators]
        told["agreement"] = self._agreement(progress.agreement)
        return told

    def _agreement(self, agreement: Agreement) -> dict[str, Any] | None:
        if not agreement.items:
            return None
        names = {**dict(enumerate(self._pair.classes)), IGNORE_LABEL: "void"}
        return {
            "items": agreement.items,
            "pixels": int(agreement.pixels.sum()),
            "agreement": float(agreement.equal.sum() / agreement.pixels.sum()),
            "per_class": [
                {
                    "number": int(label),
                    "name": names[label],
                    "pixels": int(agreement.pixels[label]),
                    "agreement": float(agreement.equal[label] / agreement.pixels[label]),
                }
                for label in np.flatnonzero(agreement.pixels).tolist()
            ],
        }

    # Names.

    def _item(self, text: Any, what: str = "item") -> Item:
        found = _ITEM.fullmatch(text) if isinstance(text, str) else None
        if not found:
            raise ValueError(f"{what} is no item's id, like 1-0-1")
        round, number, opinion = map(int, found.groups())
        if number >= len(self._pair.pool.names):
            raise UnknownItemError(f"There is no item {text}.")
        return Item(round, self._pair.pool.names[number], opinion)

    def _number(self, item: Item) -> int:
        try:
            return self._numbers[item.image]
        except KeyError:
            raise LabelStoreError(
                f"the label store asks image {item.image!r}, which the run's data doesn't have any "
                "more; restore the data, or give its folder in config.json"
            ) from None

    def _id(self, item: Item) -> str:
        return f"{item.round}-{self._number(item)}-{item.opinion}"

    def _image_address(self, number: int) -> str:
        # Browsers keep images for ever, so that those of two runs need two addresses.
        name = f"{self._run.data}/{self._pair.pool.names[number]}"
        return f"/api/images/{number}.png?v={hashlib.sha256(name.encode()).hexdigest()[:12]}"

    def _encoded(self, number: int) -> tuple[bytes, str]:
        pool = self._pair.pool
        image = transforms.resize_image(pool.image(number), pool.size(number))
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG", compress_level=1)
        png = file.getvalue()
        return png, f'"{hashlib.sha256(png).hexdigest()[:32]}"'


def _page_files() -> dict[str, Any]:
    """The files that are served, by name: those that lie in the package's folder `page` now."""
    folder = importlib.resources.files("labor_jax.annotation") / "page"
    files = {
        file.name: file
        for file in (folder.iterdir() if folder.is_dir() else ())
        if file.is_file() and file.name.endswith(tuple(_CONTENT_TYPES))
    }
    if "index.html" not in files:
        logger.error("The labelling tool's page is missing: there is no %s/index.html.", folder)
    return files


async def _body(request: Request) -> bytes:
    """A request's body, if it isn't too large."""
    body, length = [], 0
    try:
        async for chunk in request.stream():
            length += len(chunk)
            if length > 4 * MAX_BODY:
                break
            # A little too much is read to its end: many clients listen only after that.
            if length <= MAX_BODY:
                body.append(chunk)
    except ClientDisconnect as error:
        raise _RequestError(400, "The request was cut off.") from error
    if length > MAX_BODY:
        raise _RequestError(
            413, f"The request is too large: a body has at most {MAX_BODY // 2**20} MiB."
        )
    return b"".join(body)


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError("the request's body is no JSON") from error
    if not isinstance(fields, dict):
        raise ValueError('the request\'s body is no JSON object, {"name": value, ...}')
    return fields


def _number(text: str, what: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{what} is no whole number of at most 9 digits")
    return int(text)


def _explain(request: Request, error: Exception) -> Response:
    match error:
        case _RequestError():
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
    sentences = {404: "There is nothing at this address.", 405: "This address isn't used so."}
    return _error(
        error.status_code, sentences.get(error.status_code, str(error.detail)), error.headers
    )


def _apologise(request: Request, error: Exception) -> Response:
    # Starlette raises the error again, so that the console shows it.
    return _error(500, "The server made a mistake, which its console tells. Try again: it is safe.")


def _error(status: int, sentence: str, headers: Any = None) -> Response:
    # Not JSONResponse: it fails at text that isn't Unicode, which a request may hold.
    body = json.dumps({"error": sentence})
    return Response(body, status, headers=headers, media_type="application/json")
