"""A run in TensorBoard: the numbers of `metrics.jsonl` and the pictures of `previews/`."""

import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from PIL import Image

from labor_jax.data import Pair
from labor_jax.experiment.plan import Phase
from labor_jax.experiment.previews import preview_path
from labor_jax.experiment.workdir import ConfigError, Workdir

logger = logging.getLogger(__name__)


class Writer(Protocol):
    """What is used of `clu.metric_writers.MetricWriter`."""

    def write_scalars(self, step: int, scalars: dict[str, float]) -> None:
        """Adds numbers by name."""

    def write_images(self, step: int, images: dict[str, np.ndarray]) -> None:
        """Adds pictures uint8[1, H, W, 3] by name."""

    def flush(self) -> None:
        """Lets readers see what was added."""

    def close(self) -> None:
        """Flushes, and frees what the writer holds."""


def check_installed() -> None:
    """Imports what writes for TensorBoard.

    Raises:
      ConfigError: it is not installed; the message has the line that installs it.
    """
    try:
        import tensorflow as tf
        from clu.metric_writers import SummaryWriter  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"--tensorboard needs packages that are not installed ({error}): "
            "pip install 'labor_jax[tensorboard]'."
        ) from error
    tf.config.set_visible_devices([], "GPU")  # it would take the memory that JAX needs


def open_writer(folder: Workdir) -> Writer:
    """A writer of a run's folder `tensorboard`, where nothing is left of earlier ones."""
    from clu.metric_writers import SummaryWriter

    folder.tensorboard.mkdir(exist_ok=True)
    for path in folder.tensorboard.glob("events.out.tfevents.*"):
        path.unlink()
    return SummaryWriter(str(folder.tensorboard))


class Board:
    """Adds to TensorBoard what the run's files hold and it doesn't show yet.

    A resumed run starts an empty board and fills it from its files. So it shows no step twice, and
    a run may get one later.
    """

    def __init__(
        self,
        folder: Workdir,
        pair: Pair,
        phases: Sequence[Phase],
        writer: Writer,
        *,
        numbers: Sequence[int],
    ):
        """Shows nothing yet.

        Args:
          folder: the run's.
          pair: its data, of which the pool's images are shown.
          phases: the run's.
          writer: where to add them.
          numbers: images of the pool with previews.
        """
        self._folder, self._pair, self._writer = folder, pair, writer
        self._numbers = numbers
        self._waiting = list(phases)
        self._read = 0  # bytes of the metrics file

    def update(self, over: int) -> None:
        """Adds the new numbers, and the pictures of phases that are over.

        Args:
          over: the global step by which these phases end.
        """
        for line in self._new_lines():
            self._writer.write_scalars(line["step"], scalars(line))
        while self._waiting and self._waiting[0].last_step <= over:
            phase = self._waiting.pop(0)
            pictures = dict(self._pictures(phase))
            if pictures:
                self._writer.write_images(phase.last_step, pictures)
        self._writer.flush()

    def _new_lines(self) -> Iterator[dict[str, Any]]:
        with self._folder.metrics.open("rb") as file:
            file.seek(self._read)
            lines = file.readlines()
        self._read += sum(map(len, lines))
        yield from map(json.loads, lines)

    def _pictures(self, phase: Phase) -> Iterator[tuple[str, np.ndarray]]:
        """Each preview of a phase beside its image, by name."""
        asks = phase.kind == "query"
        for number in self._numbers:
            path = preview_path(self._folder.previews, phase.name, number)
            if not path.exists():
                continue
            image = self._pair.pool.image(number)
            try:
                with Image.open(path) as preview:
                    labels = np.asarray(preview)
                shown = (
                    np.where(labels[..., None] > 0, image, image // 3)
                    if asks
                    else self._pair.palette[labels]
                )
                picture = np.concatenate([image, shown], axis=1)[None]
            except Exception as error:  # Pillow raises many kinds for damaged files
                logger.warning("TensorBoard leaves out %s: %s", path, error)
                continue
            yield f"{'queries' if asks else 'predictions'}/{self._pair.pool.names[number]}", picture


def scalars(line: dict[str, Any]) -> dict[str, float]:
    """The numbers of a line of the metrics file by their names in TensorBoard.

    The part before "/" is the heading under which TensorBoard shows them: "training", "selector",
    "evaluation" or, for classes, "iou".
    """
    heading = "selector" if line["phase"].endswith("/selector") else "training"
    if "miou" in line:
        heading = "evaluation"
    named = {
        f"{heading}/{name}": value
        for name, value in line.items()
        if name not in ("step", "phase", "time", "per_class_iou")
    }
    named |= {f"iou/{name}": value for name, value in line.get("per_class_iou", {}).items()}
    return {name: value for name, value in named.items() if value is not None}
