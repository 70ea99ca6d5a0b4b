"""Label maps of a few pool images, kept at each phase's end so that the report can show change.

Beside a prediction lies how unsure it is: the entropy of the classes' probabilities.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jax.sharding import Mesh
from PIL import Image

from labor_jax import models
from labor_jax.atomic_files import write_atomically
from labor_jax.data import Split
from labor_jax.evaluation import evaluator
from labor_jax.evaluation.inference import (
    PLAIN,
    Inference,
    upsampled_classes_and_uncertainty,
)


class Previews:
    """Writes `previews/PHASE/NUMBER.png`: predictions as label maps, candidates as masks.

    `NUMBER_uncertainty.png` is the entropy of a prediction, 0 to 255 where all classes are alike.
    """

    def __init__(
        self,
        directory: Path,
        split: Split,
        segmenter: models.Segmenter,
        mesh: Mesh,
        *,
        size: tuple[int, int] | None,
        count: int,
        inference: Inference = PLAIN,
    ):
        """Chooses the images.

        Args:
          directory: the folder to write below.
          split: the pool.
          segmenter: the model's network.
          mesh: the devices.
          size: the model's input size, None for the images' own.
          count: how many images, evenly over the split.
          inference: how predictions are made.
        """
        self._directory = directory
        self._split = split
        self._size = size
        self._predict = evaluator.make_predictor(
            segmenter, mesh, inference=inference, upsampled=upsampled_classes_and_uncertainty
        )
        self.numbers = preview_numbers(len(split), count)

    def write_predictions(self, phase: str, model: dict) -> None:
        """Predicts the chosen images with the model's variables and writes both pictures."""
        for number, predicted in self._predict(model, self._split, self.numbers, self._size):
            labels, uncertainty = np.moveaxis(predicted, -1, 0)
            self._write(preview_path(self._directory, phase, number), labels)
            self._write(uncertainty_path(self._directory, phase, number), uncertainty)

    def write_candidates(
        self, phase: str, numbers: Sequence[int], candidates: Sequence[np.ndarray]
    ) -> None:
        """Writes the masks bool[H, W] of those images among `numbers` that were chosen."""
        for number, mask in zip(numbers, candidates, strict=False):
            if int(number) in self.numbers:
                path = preview_path(self._directory, phase, int(number))
                self._write(path, mask.astype(np.uint8))

    def _write(self, path: Path, array: np.ndarray) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = io.BytesIO()
        Image.fromarray(array).save(picture, "PNG")
        write_atomically(path, picture.getvalue())


def preview_path(directory: Path, phase: str, number: int) -> Path:
    """Where the preview of pool image `number` at the end of `phase` lies."""
    return directory / phase.replace("/", "_") / f"{number}.png"


def uncertainty_path(directory: Path, phase: str, number: int) -> Path:
    """Where the uncertainty of that preview lies; runs of older versions have none."""
    return preview_path(directory, phase, number).with_name(f"{number}_uncertainty.png")


def preview_numbers(total: int, count: int) -> tuple[int, ...]:
    """`count` numbers spread evenly over `range(total)`, fewer where there aren't as many."""
    count = min(count, total)
    return (
        tuple(int(number) for number in np.linspace(0, total - 1, count).round()) if count else ()
    )
