"""The file formats of other labelling tools, for export and import."""

from labor_jax.annotation.formats import cityscapes, coco, cvat, label_maps, label_studio, png
from labor_jax.annotation.formats.exported_round import ExportedRound
from labor_jax.data.base import DataError

FORMATS = {"png": png, "coco": coco, "label_studio": label_studio, "cvat": cvat}
"""The module of each format, with `write(folder, exported, images)` and `read(path, exported)`."""

FORMATS_OF_SEVERAL_CLASSES = ("coco", "label_studio", "cvat")
"""The formats that can say several classes of one region."""


def check_kind(format: str, exported: ExportedRound) -> None:
    """Raises a `DataError` if a format can't say what a round asks."""
    if exported.kind == "classes" and format not in FORMATS_OF_SEVERAL_CLASSES:
        raise DataError(
            f"round {exported.round} asks all classes of each part, and {format} can't say several "
            f"classes of one region; use {' or '.join(FORMATS_OF_SEVERAL_CLASSES)}, or the "
            "labelling tool"
        )


EXISTING_FORMATS = {
    "png": label_maps,
    "coco": coco,
    "label_studio": label_studio,
    "cvat": cvat,
    "cityscapes": cityscapes,
}
"""The module of each format of labels that existed before the run, with `read(path, existing)`."""
