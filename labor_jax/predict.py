"""Predicts a folder: `labor-jax predict --workdir runs/x --images DIR --output DIR`.

Writes a label map (`NAME.png`, class numbers) and a colour overlay (`NAME_overlay.jpg`) for every
image of a folder, at the image's own resolution.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

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
    from labor_jax import prediction
    from labor_jax.data import folders
    from labor_jax.training import loop

    model = prediction.load(_WORKDIR.value, _CHECKPOINT.value)
    logging.info("Model of phase %s, global step %d", model.phase, model.step)
    layout = folders.FolderLayout(images=".", labels="", pattern="*")
    split = folders.read_split(_IMAGES.value, "--images", layout, len(model.classes))
    predictions = model.predict_each(split.image_paths)
    for number, labels in loop.progress_bar(predictions, total=len(split), unit="image"):
        path = Path(_OUTPUT.value) / split.names[number]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(labels).save(path.with_name(path.name + ".png"))
        overlay = Image.blend(
            Image.fromarray(split.image(number)),
            Image.fromarray(model.palette[labels]),
            _OPACITY.value,
        )
        overlay.save(path.with_name(path.name + "_overlay.jpg"), quality=92)


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
