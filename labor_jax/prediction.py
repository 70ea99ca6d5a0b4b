"""A run's model, read from its workdir to predict images of any size."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labor_jax.data import DataError, pair_description
from labor_jax.data.files import decoding
from labor_jax.evaluation import evaluator, inference
from labor_jax.experiment import restore
from labor_jax.experiment.components import Components
from labor_jax.experiment.workdir import Workdir

ImageOrPath = np.ndarray | str | os.PathLike


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedModel:
    """A run's model.

    Images are uint8[H, W, 3] arrays (RGB) or paths of image files, of any sizes. They are resized
    to the run's `config.data.evaluation_size`, if it has one, and predicted with the run's mirror
    images, scales and windows. There is one compilation for each image size.

    Attributes:
      components: the run's config, networks and devices.
      variables: the network's.
      phase: name of the phase that the model is of.
      step: its step, counted from the start of the run.
    """

    components: Components
    variables: dict[str, Any]
    phase: str
    step: int

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; label value c means `classes[c]`."""
        return self.components.pair.classes

    @property
    def palette(self) -> np.ndarray:
        """A colour for each class, uint8[C, 3]."""
        return self.components.pair.palette

    def predict(self, images: Sequence[ImageOrPath]) -> list[np.ndarray]:
        """Returns the class of each pixel, uint8[H, W] at each image's own size.

        Raises:
          DataError: an image can't be read or is not uint8[H, W, 3]; the message says which.
        """
        return _in_order(self.predict_each(images), len(images))

    def predict_each(self, images: Sequence[ImageOrPath]) -> Iterator[tuple[int, np.ndarray]]:
        """Yields an image's number and what `predict` returns for it, one image after the other.

        Images of one size are predicted together, so the numbers need not ascend.
        """
        for number, classes in self._each(self._predict_classes, images):
            yield number, classes.astype(np.uint8)

    def probabilities(self, images: Sequence[ImageOrPath]) -> list[np.ndarray]:
        """Returns the probabilities of each pixel's classes, f32[H, W, C] at each image's own size.

        Raises:
          DataError: see `predict`.
        """
        return _in_order(self._each(self._predict_probabilities, images), len(images))

    @functools.cached_property
    def _predict_classes(self):
        return self._compiled(inference.predict_classes)

    @functools.cached_property
    def _predict_probabilities(self):
        return self._compiled(inference.predict_probabilities)

    def _compiled(self, predict):
        run = self.components
        return evaluator.make_predictor(
            run.frozen_segmenter, run.mesh, inference=run.inference, predict=predict
        )

    def _each(self, predict, images):
        if not isinstance(images, list | tuple) and getattr(images, "ndim", 0) != 4:
            raise DataError(
                "Images must be a list of arrays or paths, even if there is only one; got "
                f"{type(images).__name__}."
            )
        if len(images) == 0:
            return
        config, mesh = self.components.config, self.components.mesh
        size, batch_size = config.data.evaluation_size, config.evaluation_batch_size
        yield from predict(
            self.variables,
            _Images(tuple(images)),
            range(len(images)),
            size and tuple(size),
            # A whole batch would be mostly padding for fewer images.
            batch_size=batch_size if len(images) >= batch_size else mesh.size,
            num_threads=config.data.num_threads,
        )


def load(workdir: str | os.PathLike, checkpoint: str = "last") -> TrainedModel:
    """Reads the model of a run, finished or not. Its data set need not be there.

    Args:
      workdir: the run's.
      checkpoint: "last", or "best" by mIoU on the evaluation split.

    Raises:
      ConfigError: there is no run in `workdir`, or a checkpoint of another name is asked for.
      CheckpointError: the run has no checkpoint yet, or none that can be read.
      DataError: the description of its classes is missing or damaged.
    """
    folder = Workdir.existing(workdir)
    pair = pair_description.read(folder.pair)
    components, variables, phase, step = restore.restore_model(
        folder.path, checkpoint, roles=(), pair=pair
    )
    return TrainedModel(components, variables, phase, step)


class _Images:
    """A split of images without labels, as `evaluator.make_predictor` reads it."""

    def __init__(self, images: tuple[ImageOrPath, ...]):
        self._images = images
        self.names = tuple(
            f"image {number}" if isinstance(image, np.ndarray) else os.fspath(image)
            for number, image in enumerate(images)
        )

    def __len__(self) -> int:
        return len(self._images)

    def size(self, i: int) -> tuple[int, int]:
        image = self._images[i]
        if isinstance(image, np.ndarray):
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
                raise DataError(
                    f"{self.names[i]} is {image.dtype}{list(image.shape)}; an image must be "
                    "uint8[H, W, 3], RGB."
                )
            return image.shape[:2]
        return decoding.image_size(Path(image))

    def image(self, i: int) -> np.ndarray:
        image = self._images[i]
        return image if isinstance(image, np.ndarray) else decoding.read_image(Path(image))


def _in_order(predictions: Iterator[tuple[int, np.ndarray]], count: int) -> list[np.ndarray]:
    found = dict(predictions)
    return [found[number] for number in range(count)]
