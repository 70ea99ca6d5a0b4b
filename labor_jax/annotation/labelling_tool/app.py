"""The labelling tool's web app: the addresses of its page and of its JSON API.

The app keeps no state but caches: everything is in the store's file, so the server may be killed at
any time, and several servers may serve one run. A step is acknowledged after its transaction is
committed. Images and items are named by numbers, and no path of a request reaches the file system.
"""

from collections.abc import Callable, Iterable

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from labor_jax.annotation.labelling_tool.access_control import AccessControl
from labor_jax.annotation.labelling_tool.api import Api, Run, Settings
from labor_jax.annotation.labelling_tool.http_errors import EXCEPTION_HANDLERS
from labor_jax.annotation.labelling_tool.labelling_service import LabellingService
from labor_jax.annotation.labelling_tool.page_files import PageFiles, find_page_files
from labor_jax.data.base import Pair


def make_app(
    service: LabellingService,
    pair: Pair,
    run: Run,
    settings: Settings,
    *,
    hosts: Iterable[str],
    any_address: bool = False,
    token: str | None = None,
    frame_ancestors: Iterable[str] = (),
    proxy_origins: Iterable[str] = (),
    on_complete: Callable[[int], None] = lambda round: None,
) -> ASGIApp:
    """Builds the labelling tool's app.

    Args:
      service: Takes the annotators' steps.
      pair: The run's data.
      run: What the page says about the run.
      settings: What people may see and do.
      hosts: The names and addresses at which it is visited; see `AccessControl`.
      any_address: Whether any IP address is one of them.
      token: The secret that every request must know, or None.
      frame_ancestors: The pages that may show it in a frame.
      proxy_origins: The origins at which a proxy shows it.
      on_complete: Called with the round's number when a round's last answer arrives.

    Returns:
      The app.
    """
    api = Api(service, pair, run, settings, on_complete)
    page = PageFiles(find_page_files())
    app = Starlette(
        routes=[
            Route("/", page.index),
            Route("/page/{name}", page.file),
            Route("/api/session", api.get(api.session)),
            Route("/api/progress", api.get(api.progress)),
            Route("/api/items", api.get(api.items)),
            Route("/api/images/{number}.png", api.image),
            Route("/api/next", api.post(api.next), methods=["POST"]),
            Route("/api/items/{item}/marks", api.post(api.mark), methods=["POST"]),
            Route("/api/items/{item}/toggles", api.post(api.toggle), methods=["POST"]),
            Route("/api/items/{item}/undo", api.post(api.undo), methods=["POST"]),
            Route("/api/items/{item}/redo", api.post(api.redo), methods=["POST"]),
            Route("/api/items/{item}/submit", api.post(api.submit), methods=["POST"]),
            Route("/api/items/{item}/skip", api.post(api.skip), methods=["POST"]),
            Route("/api/items/{item}/renew", api.post(api.renew), methods=["POST"]),
            Route("/api/items/{item}/release", api.post(api.release), methods=["POST"]),
            Route("/api/items/{item}/reopen", api.post(api.reopen), methods=["POST"]),
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=api.lifespan,
    )
    return AccessControl(
        app,
        hosts=hosts,
        any_address=any_address,
        token=token,
        frame_ancestors=frame_ancestors,
        proxy_origins=proxy_origins,
    )
