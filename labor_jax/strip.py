"""Draws a run's picture strip: `labor-jax strip --workdir runs/x --output strip.png`.

Draws one of a run's preview images: image, inconsistency mask, asked labels, prediction before the
rounds and after.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from labor_jax import command_line, output_files
from labor_jax.annotation import LabelStore
from labor_jax.experiment.picture_strip import draw_strip
from labor_jax.experiment.previews import preview_numbers
from labor_jax.experiment.workdir import Workdir

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's workdir.")
_OUTPUT = flags.DEFINE_string("output", "strip.png", "The picture to write.")
_OVERWRITE = command_line.define_overwrite()
_IMAGE = flags.DEFINE_integer("image", 0, "Which of the run's preview images, from 0.")
_SCALE = flags.DEFINE_integer("scale", 2, "Pixels of the strip for one of the image.")


def main(argv: Sequence[str]) -> None:
    """Draws a run's strip."""
    if len(argv) > 1 or not _WORKDIR.value:
        raise app.UsageError("Give --workdir, and no other arguments than flags.")
    if _SCALE.value < 1:
        raise app.UsageError(f"--scale is {_SCALE.value}; it is at least 1.")
    if Path(_OUTPUT.value).suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise app.UsageError(f"--output is {_OUTPUT.value}; name a .png, .jpg or .webp file.")
    output_files.check_file(_OUTPUT.value, overwrite=_OVERWRITE.value)
    folder = Workdir.existing(_WORKDIR.value)
    config = folder.read_config()
    pair = folder.load_pair(["pool"])
    numbers = preview_numbers(len(pair.pool), config.preview_images)
    if not 0 <= _IMAGE.value < len(numbers):
        raise app.UsageError(f"--image is {_IMAGE.value}; the run has {len(numbers)} previews.")
    with LabelStore(folder.labels, classes=pair.classes, read_only=True) as store:
        strip = draw_strip(folder, pair, store, numbers[_IMAGE.value], scale=_SCALE.value)
    _check_side(max(strip.size))
    with output_files.writing_file(_OUTPUT.value, overwrite=_OVERWRITE.value) as temporary:
        strip.save(temporary)
    logging.info("Wrote %s", _OUTPUT.value)


def _check_side(side: int) -> None:
    """Raises UsageError if the output's format can't hold a picture with a side of this length."""
    suffix = Path(_OUTPUT.value).suffix.lower()
    largest = output_files.LARGEST_SIDES.get(suffix, side)
    if side > largest:
        smaller = "a smaller --scale, or " if _SCALE.value > 1 else ""
        raise app.UsageError(
            f"A {suffix} file can hold {largest:,} pixels a side, and the strip has {side:,}: take "
            f"{smaller}a .png file."
        )


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
