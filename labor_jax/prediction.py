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
from labor_jax.data.files import checks, decoding
from labor_jax.evaluation import evaluator, inference
from labor_jax.experiment import restore
from labor_jax.experiment.components import Components
from labor_jax.experiment.workdir import Workdir

ImageOrPath = np.ndarray | str | os.PathLike


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedModel:
    """A run's model.

    Images are uint8[H, W, 3] arrays (RGB) or paths of image files, of any sizes. An array may be of
    NumPy, of JAX, or anything else that NumPy makes one of, such as a PIL image. They are resized
    to `input_size` or else the run's `config.data.evaluation_size`, if it has one, and predicted
    with the run's mirror images, scales and windows. The network compiles once for each size of its
    input.

    Attributes:
      components: the run's config, networks and devices.
      variables: the network's.
      phase: name of the phase that the model is of.
      step: its step, counted from the start of the run.
      input_size: (height, width) to which images are resized for the network; None for the run's
        own. Predictions always have each image's size.
    """

    components: Components
    variables: dict[str, Any]
    phase: str
    step: int
    input_size: tuple[int, int] | None = None

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
          DataError: an image can't be read, is not uint8[H, W, 3], or is a file of more than 8
            bits; the message says which. Or it is not a sequence of images.
        """
        return _in_order(self.predict_each(images))

    def predict_each(self, images: Sequence[ImageOrPath]) -> Iterator[tuple[int, np.ndarray]]:
        """Yields an image's number and what `predict` returns for it, one image after the other.

        Images of one size are predicted together, so the numbers need not ascend.
        """
        for number, classes in self.predict_split(self.split(images)):
            yield number, classes.astype(np.uint8)

    def probabilities(self, images: Sequence[ImageOrPath]) -> list[np.ndarray]:
        """Returns the probabilities of each pixel's classes, f32[H, W, C] at each image's own size.

        Raises:
          DataError: see `predict`.
        """
        return _in_order(self.predict_split(self.split(images), probabilities=True))

    def predict_split(
        self, split: Any, numbers: Sequence[int] | None = None, *, probabilities: bool = False
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yields the number of an image and its prediction, reading images as it goes.

        Args:
          split: the images, a `data.Split` that needs no labels.
          numbers: which of them; None for all.
          probabilities: whether to yield f32[H, W, C] probabilities instead of int32[H, W] classes.
        """
        numbers = range(len(split)) if numbers is None else numbers
        if not len(numbers):
            return
        config, mesh = self.components.config, self.components.mesh
        size, batch_size = self.network_size, self.components.evaluation_batch_size
        predict = self._predict_probabilities if probabilities else self._predict_classes
        yield from predict(
            self.variables,
            split,
            numbers,
            size,
            # A whole batch would be mostly padding for fewer images.
            batch_size=batch_size if len(numbers) >= batch_size else mesh.size,
            num_threads=config.data.num_threads,
        )

    @staticmethod
    def split(images: Sequence[ImageOrPath]) -> Any:
        """The images as a split for `predict_split`.

        Raises:
          DataError: it is not a sequence of images; the message names what is no image.
        """
        if not isinstance(images, list | tuple) and getattr(images, "ndim", 0) != 4:
            raise DataError(
                "Images must be a list of arrays or paths, even if there is only one; got "
                f"{type(images).__name__}."
            )
        return _Images(tuple(images))

    @property
    def network_size(self) -> tuple[int, int] | None:
        """(height, width) to which images are resized for the network; None if they are not."""
        size = self.input_size or self.components.config.data.evaluation_size
        return tuple(size) if size else None

    @functools.cached_property
    def _predict_classes(self):
        return self._compiled(inference.upsampled_classes)

    @functools.cached_property
    def _predict_probabilities(self):
        return self._compiled(inference.upsampled_probabilities)

    def _compiled(self, upsampled):
        run = self.components
        return evaluator.make_predictor(
            run.frozen_segmenter, run.mesh, inference=run.inference, upsampled=upsampled
        )


def load(workdir: str | os.PathLike, checkpoint: str = "last") -> TrainedModel:
    """Reads the model of a run, finished or not. Its data set need not be there.

    Args:
      workdir: the run's.
      checkpoint: "last", or "best" by mIoU on the evaluation split. Runs that are measured on
        answers have no best one.

    Raises:
      ConfigError: there is no run in `workdir`, or a checkpoint of another name is asked for.
      CheckpointError: the run has no checkpoint yet, or none that can be read; or "best" is asked
        for and no checkpoint has an mIoU.
      DataError: the description of its classes is missing or damaged.
    """
    folder = Workdir.existing(workdir)
    pair = pair_description.read(folder.pair)
    restored = restore.restore_model(folder.path, checkpoint, roles=(), pair=pair)
    return TrainedModel(restored.components, restored.model, restored.phase, restored.step)


class _Images:
    """A split of images without labels, as `evaluator.make_predictor` reads it."""

    def __init__(self, images: tuple[ImageOrPath, ...]):
        self._images = [_array_or_path(number, image) for number, image in enumerate(images)]
        self.names = tuple(
            str(image) if isinstance(image, Path) else f"image {number}"
            for number, image in enumerate(self._images)
        )

    def __len__(self) -> int:
        return len(self._images)

    def size(self, i: int) -> tuple[int, int]:
        image = self._images[i]
        if isinstance(image, Path):
            return checks.checked_size(image)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise DataError(
                f"{self.names[i]} is {image.dtype}{list(image.shape)}; an image must be "
                "uint8[H, W, 3], RGB."
            )
        return image.shape[:2]

    def image(self, i: int) -> np.ndarray:
        image = self._images[i]
        return decoding.read_image(image) if isinstance(image, Path) else image


def _array_or_path(number: int, image: Any) -> np.ndarray | Path:
    """An image as NumPy's array, or its path."""
    if isinstance(image, str | os.PathLike):
        return Path(os.path.expanduser(os.fsdecode(image)))
    kind = type(image)
    problem = ""
    if hasattr(kind, "__array__") or hasattr(kind, "__array_interface__"):
        try:
            return np.asarray(image)
        except Exception as error:  # of any library, such as for an array on another device
            problem = f", which NumPy can't read ({error})"
    raise DataError(
        f"image {number} is of type {kind.__name__}{problem}; an image must be an array "
        "uint8[H, W, 3], RGB, or the path of a file."
    )


def _in_order(predictions: Iterator[tuple[int, np.ndarray]]) -> list[np.ndarray]:
    found = dict(predictions)
    return [found[number] for number in sorted(found)]
