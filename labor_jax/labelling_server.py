"""The labelling tool of a run's workdir, ready to be served: by the command or in a notebook.

Needs the extra `annotate`.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import uvicorn

from labor_jax.annotation import LabelStore
from labor_jax.annotation.labelling_tool import api
from labor_jax.annotation.labelling_tool.app import make_app
from labor_jax.annotation.labelling_tool.http_protocol import ImpatientProtocol
from labor_jax.annotation.labelling_tool.labelling_service import LabellingService
from labor_jax.data import Pair
from labor_jax.experiment import data_identity
from labor_jax.experiment.workdir import ConfigError, Workdir


class RunTool(NamedTuple):
    """What the labelling tool of a run works with.

    Attributes:
      store: the run's label store, open for writing.
      service: takes the annotators' steps.
      pair: the run's data; the pool alone.
      run: what the page says about the run.
      settings: the run's `config.annotation`.
    """

    store: LabelStore
    service: LabellingService
    pair: Pair
    run: api.Run
    settings: api.Settings

    def app(self, *, on_complete: Callable[[int], None] = lambda round: None, **access: Any):
        """The web app; the arguments are those of `labelling_tool.app.make_app`."""
        return make_app(
            self.service, self.pair, self.run, self.settings, on_complete=on_complete, **access
        )

    def what_to_do(self) -> str:
        """What is waiting for answers, as a sentence."""
        round = self.service.reader.current_round()
        if round is None:
            return (
                "The run hasn't asked anything yet. Its questions appear in the tool as soon as it "
                "does; it must run with --config.annotator=human."
            )
        progress = self.service.progress.of_round(round)
        if progress.complete:
            return (
                f"Round {round} is labelled; its answers can still be corrected. "
                f"{self.run.advice}\n"
                "The questions of the next round appear in the tool as soon as the run asks them."
            )
        asked = self.store.statistics(round)
        open_items = progress.items - progress.done
        if asked.asked_images < asked.images:
            return (
                f"Round {round} is waiting for answers: {open_items} items so far; the run has yet "
                f"to ask about {asked.images - asked.asked_images} images."
            )
        return f"Round {round} is waiting for answers: {open_items} items."


@contextlib.contextmanager
def open_tool(workdir: str | os.PathLike, *, advice: str | None = None) -> Iterator[RunTool]:
    """Opens the label store of a run for the labelling tool.

    Args:
      workdir: the run's.
      advice: how the run goes on, as a sentence; None: by the command that started it.

    Raises:
      ConfigError: there is no run in `workdir`, it has asked nothing yet, or a field of
        `config.annotation` is out of range.
      DataError: the run's data can't be read, or are not those that it began with.
      LabelStoreError: the label store can't be read.
    """
    folder = Workdir.existing(workdir)
    config = folder.read_config()
    pair = folder.load_pair(["pool"])
    data_identity.check(folder, pair)
    settings = _settings(config)
    if not folder.labels.exists():
        raise ConfigError(
            f"{folder.path} has no label store yet. Start its run with --config.annotator=human, "
            "and start this tool when the run says that it is waiting for answers."
        )
    with LabelStore(folder.labels, classes=pair.classes) as store:
        service = _service(store, settings, folder)
        yield RunTool(store, service, pair, _run(folder, config, advice), settings)


def make_server(app) -> uvicorn.Server:
    """A server of the tool's app, for `uvicorn.Server.run`."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=ImpatientProtocol,
            log_config=None,  # its own would close the handlers of the process
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=75,  # longer than the page ever stays silent
            timeout_graceful_shutdown=5,
        )
    )


def _service(store: LabelStore, settings: api.Settings, folder: Workdir) -> LabellingService:
    try:
        return LabellingService(
            store,
            lease_seconds=settings.lease_seconds,
            second_opinion=settings.second_opinion,
        )
    except ValueError as error:
        raise ConfigError(f"{folder.config}: config.annotation.{error}.") from error


def _settings(config) -> api.Settings:
    """The run's `config.annotation`; fields that an older run lacks have their defaults."""
    section = config.get("annotation", {})
    return api.Settings(**{name: section[name] for name in api.Settings._fields if name in section})


def _run(folder: Workdir, config, advice: str | None) -> api.Run:
    """What the page says about the run."""
    command = folder.command.read_text().strip() if folder.command.exists() else None
    how = command or f"labor-jax run … --workdir {folder.path}"
    # It changes when the run accepts other images.
    known = hashlib.sha256(folder.data.read_bytes()).hexdigest() if folder.data.exists() else None
    return api.Run(
        name=folder.path.resolve().name,
        method=config.method,
        data=json.dumps([config.pair, config.data.to_dict(), known], sort_keys=True),
        command=command,
        advice=advice or f"Continue the run with the command that started it: {how}",
    )
