"""Predicts images: `labor-jax predict --workdir runs/x --images WHAT --output DIR`.

WHAT is a folder, an image, a quoted glob or a video; repeat the flag for several. For each image,
at its own size and in the subfolder that it has:

    NAME.png                  class numbers as in classes.csv, shown in the classes' colours
    NAME_overlay.jpg          the image under the classes' colours
    NAME_probabilities.npz    with --probabilities: probabilities [H, W, C], classes [C]

classes.csv lists the model's class numbers: 0, 1, ... in the order of its classes. The values in
your own label files may be others.

A video gets a folder of label maps, NAME/NAME_SECONDS.png, and NAME_overlay.mp4. --annotations
writes what COCO's tools or CVAT import, for people to correct.

The same command goes on where it was stopped. It replaces no file that it did not write, and it
leaves out images that can't be read, names them at the end, and then exits with status 1.
"""

import logging
from collections.abc import Sequence

from absl import app, flags

from labor_jax import command_line

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's workdir.")
_IMAGES = flags.DEFINE_multi_string(
    "images",
    None,
    "A folder with its subfolders, an image, a quoted glob, or a video.",
)
_OUTPUT = flags.DEFINE_string("output", None, "The folder to write to; made if absent.")
_OVERWRITE = command_line.define_overwrite()
_CHECKPOINT = command_line.define_checkpoint()
_LABEL_MAPS = flags.DEFINE_bool("label_maps", True, "Write label maps.")
_OVERLAYS = flags.DEFINE_bool("overlays", True, "Write overlays; of a video, one mp4.")
_OPACITY = flags.DEFINE_float("opacity", 0.5, "How much the overlay's colours cover, 0 to 1.")
_PROBABILITIES = flags.DEFINE_bool("probabilities", False, "Write the classes' probabilities.")
_PROBABILITIES_DTYPE = flags.DEFINE_enum(
    "probabilities_dtype", "float16", ["float16", "float32"], "Their type."
)
_ANNOTATIONS = flags.DEFINE_enum(
    "annotations",
    None,
    ["coco", "cvat"],
    "Write the label maps as annotations too: annotations.json, or annotations.xml and "
    "labels.json.",
)
_EVERY = flags.DEFINE_string(
    "every", "1", "Of a video: a frame each 1s or 500ms, or every so many frames."
)
_SIZE = flags.DEFINE_string(
    "size",
    None,
    "HEIGHT,WIDTH that images are resized to for the network, by default the run's "
    "evaluation_size. Outputs keep each image's size.",
)


def main(argv: Sequence[str]) -> None:
    """Predicts images and videos."""
    _check_flags(argv)
    import dataclasses

    from labor_jax import prediction
    from labor_jax.batch_prediction import inputs, outputs
    from labor_jax.batch_prediction.job import Job
    from labor_jax.output_files import OutputFolder

    found = inputs.find(_IMAGES.value)
    folder = OutputFolder(_OUTPUT.value, inputs=found.protected, overwrite=_OVERWRITE.value)
    model = prediction.load(_WORKDIR.value, _CHECKPOINT.value)
    model = dataclasses.replace(model, input_size=command_line.parse_size(_SIZE.value))
    logging.info("Model of phase %s, global step %d", model.phase, model.step)
    wanted = outputs.Wanted(
        label_maps=_LABEL_MAPS.value,
        overlays=_OVERLAYS.value,
        probabilities=_PROBABILITIES_DTYPE.value if _PROBABILITIES.value else "",
        opacity=_OPACITY.value,
    )
    Job(model, found, folder, wanted, _EVERY.value, _ANNOTATIONS.value).run()


def _check_flags(argv: Sequence[str]) -> None:
    from labor_jax.data.files import video

    if len(argv) > 1:
        raise app.UsageError(
            f"{argv[1]!r} belongs to no flag; quote a glob (--images '*.jpg'), and repeat --images."
        )
    if not (_WORKDIR.value and _IMAGES.value and _OUTPUT.value):
        raise app.UsageError("Give --workdir, --images and --output.")
    if not 0 <= _OPACITY.value <= 1:
        raise app.UsageError(f"--opacity is {_OPACITY.value}; it lies from 0 to 1.")
    if not (_LABEL_MAPS.value or _OVERLAYS.value or _PROBABILITIES.value):
        raise app.UsageError("Nothing is to be written; leave out one of the --no flags.")
    if _ANNOTATIONS.value and not _LABEL_MAPS.value:
        raise app.UsageError("--annotations are made from label maps; leave out --nolabel_maps.")
    try:
        video.parse_every(_EVERY.value)
    except ValueError as error:
        raise app.UsageError(f"--every: {error}.") from error
    command_line.parse_size(_SIZE.value)


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
