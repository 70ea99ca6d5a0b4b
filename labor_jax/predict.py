"""The command line: `python -m labor_jax.predict --workdir runs/x --images DIR --output DIR`.

Writes a label map (`NAME.png`, class numbers) and a colour overlay (`NAME_overlay.jpg`) for every
image of a folder, at the image's own resolution.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import app, flags
from PIL import Image

from labor_jax import command_line

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's workdir.")
_IMAGES = flags.DEFINE_string("images", None, "The folder of images, read with its subfolders.")
_OUTPUT = flags.DEFINE_string("output", None, "The folder to write to; made if absent.")
_CHECKPOINT = flags.DEFINE_enum(
    "checkpoint", "last", ["best", "last"], "Which: of the best mIoU so far, or the last."
)
_OPACITY = flags.DEFINE_float("opacity", 0.5, "How much the overlay's colours cover, 0 to 1.")


def main(argv: Sequence[str]) -> None:
    """Predicts all images of a folder."""
    if len(argv) > 1 or not (_WORKDIR.value and _IMAGES.value and _OUTPUT.value):
        raise app.UsageError("Give --workdir, --images and --output.")
    if not 0 <= _OPACITY.value <= 1:
        raise app.UsageError(f"--opacity is {_OPACITY.value}; it lies from 0 to 1.")
    from labor_jax import restored
    from labor_jax.data import folders
    from labor_jax.evaluation import evaluator
    from labor_jax.training import loop

    parts, model, phase, step = restored.restore_model(_WORKDIR.value, _CHECKPOINT.value, roles=())
    logging.info("Model of phase %s, global step %d", phase, step)
    role = folders.Role(images=".", labels="", pattern="*")
    split = folders.read_split(_IMAGES.value, "--images", role, parts.pair.num_classes)
    predict = evaluator.make_predictor(
        parts.frozen_segmenter, parts.mesh, inference=parts.inference
    )
    data = parts.config.data
    predictions = predict(
        model, split, range(len(split)), data.evaluation_size, num_threads=data.num_threads
    )
    for number, labels in loop.progress_bar(predictions, total=len(split), unit="image"):
        path = Path(_OUTPUT.value) / split.names[number]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(labels.astype(np.uint8)).save(path.with_name(path.name + ".png"))
        overlay = Image.blend(
            Image.fromarray(split.image(number)),
            Image.fromarray(parts.pair.palette[labels]),
            _OPACITY.value,
        )
        overlay.save(path.with_name(path.name + "_overlay.jpg"), quality=92)


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
