"""The files of a predicted image: which there are, what makes them, and writing them."""

from __future__ import annotations

import collections
import concurrent.futures
import hashlib
import json
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from PIL import Image

from labor_jax.output_files import LARGEST_SIDES, OutputFolder
from labor_jax.prediction import TrainedModel

_WRITERS = min(4, os.cpu_count() or 1)  # threads; encoders release the GIL


class Wanted(NamedTuple):
    """Which files to write for an image.

    Attributes:
      label_maps: whether to write `NAME.png`: the model's class numbers, from 0 in the order of its
        classes, shown in their colours.
      overlays: whether to write `NAME_overlay.jpg`: the image under the classes' colours, smaller
        where a side is longer than JPEG's 65,500 pixels.
      probabilities: "" or the dtype, float16 or float32, of `NAME_probabilities.npz`. It holds
        `probabilities`, [H, W, C], and `classes`, their C names.
      opacity: how much the overlay's colours cover, 0 to 1.
    """

    label_maps: bool = True
    overlays: bool = True
    probabilities: str = ""
    opacity: float = 0.5

    def files(self, name: str, source: str) -> dict[str, str]:
        """The key of each file of an image, by the file's name; see `OutputFolder.remaining`.

        Args:
          name: the image's.
          source: what tells model and image from others, see `source`.
        """
        kinds = {
            f"{name}.png": self.label_maps and source,
            f"{name}_overlay.jpg": self.overlays and f"{source}, opacity {self.opacity:g}",
            f"{name}_probabilities.npz": self.probabilities and f"{source}, {self.probabilities}",
        }
        return {file: key for file, key in kinds.items() if key}


class Prediction(NamedTuple):
    """What is predicted of an image.

    Attributes:
      labels: the class of each pixel, uint8[H, W].
      probabilities: f32[H, W, C], or None if nobody wants them.
    """

    labels: np.ndarray
    probabilities: np.ndarray | None

    @classmethod
    def of(cls, predicted: np.ndarray) -> Prediction:
        """Either classes, int32[H, W], or probabilities."""
        if predicted.ndim == 2:
            return cls(predicted.astype(np.uint8), None)
        return cls(predicted.argmax(-1).astype(np.uint8), predicted)


def model_key(model: TrainedModel) -> str:
    """A text that differs for models that predict differently, and says which it is."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(model.variables):
        digest.update(jax.tree_util.keystr(path).encode())
        digest.update(np.asarray(leaf).tobytes())
    config = model.components.config
    described = {
        "model": config.model.to_dict(),
        "inference": repr(model.components.inference),
        "size": model.network_size,
        "classes": model.classes,
        "palette": model.palette.tolist(),
    }
    digest.update(json.dumps(described, sort_keys=True, default=str).encode())
    return f"{model.phase} step {model.step} {digest.hexdigest()[:16]}"


def source(model_key: str, path: Path) -> str:
    """What tells a model and a file from others, if the file is there."""
    try:
        status = path.stat()
    except OSError:  # reading it says what is wrong
        return f"{model_key}, {path.name}"
    return f"{model_key}, {path.name} of {status.st_size} bytes at {status.st_mtime_ns}"


def overlay(image: np.ndarray, labels: np.ndarray, palette: np.ndarray, opacity: float):
    """An image, uint8[H, W, 3], under its classes' colours, as Pillow's image."""
    return Image.blend(Image.fromarray(image), Image.fromarray(palette[labels]), opacity)


class OutputWriter:
    """Writes the files of images in threads; use it in a `with` block.

    It holds few images at any time. An error of a thread is raised by a later call, or at the end.
    """

    def __init__(self, folder: OutputFolder, model: TrainedModel, wanted: Wanted):
        """Starts the threads."""
        self._folder, self._wanted = folder, wanted
        self._classes, self._palette = np.array(model.classes), model.palette
        self._executor = concurrent.futures.ThreadPoolExecutor(_WRITERS)
        self._waiting: collections.deque = collections.deque()

    def write(
        self,
        name: str,
        source: str,
        read_image: Callable[[], np.ndarray],
        prediction: Prediction,
        files: Collection[str],
    ) -> None:
        """Writes files of an image.

        Args:
          name: the image's.
          source: see `Wanted.files`.
          read_image: returns it, uint8[H, W, 3].
          prediction: its prediction.
          files: names of the files to write; its others are there.
        """
        while len(self._waiting) >= 2 * _WRITERS:
            self._waiting.popleft().result()
        job = self._executor.submit(self._write, name, source, read_image, prediction, files)
        self._waiting.append(job)

    def _write(self, name, source, read_image, prediction, files):
        keys = self._wanted.files(name, source)
        savers: dict[str, Callable[[Path], Any]] = {
            f"{name}.png": lambda path: label_map(prediction.labels, self._palette).save(path),
            f"{name}_overlay.jpg": lambda path: self._save_overlay(
                path, read_image(), prediction.labels
            ),
            f"{name}_probabilities.npz": lambda path: np.savez_compressed(
                path,
                probabilities=prediction.probabilities.astype(self._wanted.probabilities),
                classes=self._classes,
            ),
        }
        for file, key in keys.items():
            if file in files:
                with self._folder.writing(file, key) as temporary:
                    savers[file](temporary)

    def _save_overlay(self, path: Path, image: np.ndarray, labels: np.ndarray) -> None:
        drawn = overlay(image, labels, self._palette, self._wanted.opacity)
        drawn.thumbnail(2 * [LARGEST_SIDES[".jpg"]])  # a larger one only
        drawn.save(path, quality=92)

    def __enter__(self) -> OutputWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            while self._waiting:
                waiting = self._waiting.popleft()
                if kind is None:
                    waiting.result()
                else:
                    waiting.cancel()
        finally:
            self._executor.shutdown(cancel_futures=True)


def label_map(labels: np.ndarray, palette: np.ndarray) -> Image.Image:
    """Class numbers, uint8[H, W], as an image with a palette."""
    image = Image.fromarray(labels)
    image.putpalette(np.asarray(palette, np.uint8).tobytes())
    return image
