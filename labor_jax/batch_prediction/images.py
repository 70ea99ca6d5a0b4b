"""Predicts image files and writes the outputs as they come."""

from __future__ import annotations

import collections
import logging
from collections.abc import Mapping, Sequence

from labor_jax.batch_prediction.image_files import ImageFiles
from labor_jax.batch_prediction.inputs import Input
from labor_jax.batch_prediction.outputs import OutputWriter, Prediction, Wanted
from labor_jax.output_files import OutputFolder
from labor_jax.prediction import TrainedModel
from labor_jax.training import loop

logger = logging.getLogger(__name__)

_MANY_SIZES = 8  # compilations that nobody minds


def predict_images(
    model: TrainedModel,
    images: Sequence[Input],
    split: ImageFiles,
    sources: Sequence[str],
    remaining: Mapping[int, Sequence[str]],
    folder: OutputFolder,
    wanted: Wanted,
) -> int:
    """Predicts images, those of one size together.

    Args:
      model: the model.
      images: the images.
      split: the same images.
      sources: the source of each, see `outputs.source`.
      remaining: the files that are to be written, by the image's number.
      folder: where to.
      wanted: which files images have.

    Returns:
      How many images were predicted. The others are in `split.problems`.
    """
    _warn_of_many_sizes(model, split, remaining)
    count = 0
    predictions = model.predict_split(
        split, list(remaining), probabilities=bool(wanted.probabilities)
    )
    with OutputWriter(folder, model, wanted) as writer:
        for number, predicted in loop.progress_bar(
            predictions, total=len(remaining), desc="predict", unit="image"
        ):
            if number in split.problems:
                continue
            writer.write(
                images[number].name,
                sources[number],
                lambda number=number: split.image(number),
                Prediction.of(predicted),
                remaining[number],
            )
            count += 1
    return count


def _warn_of_many_sizes(
    model: TrainedModel, split: ImageFiles, remaining: Mapping[int, Sequence[str]]
) -> None:
    sizes = collections.Counter(split.size(number) for number in remaining)
    if model.network_size is None and len(sizes) > _MANY_SIZES:
        (height, width), _ = sizes.most_common(1)[0]
        logger.warning(
            "The images have %d sizes, and the network compiles for each of them. Resize them for "
            "it: --size=%d,%d, for example. Label maps keep each image's own size.",
            len(sizes),
            height,
            width,
        )
