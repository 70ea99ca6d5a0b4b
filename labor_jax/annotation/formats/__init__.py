"""The file formats of other labelling tools, for export and import."""

from labor_jax.annotation.formats import cityscapes, coco, cvat, label_maps, label_studio, png

FORMATS = {"png": png, "coco": coco, "label_studio": label_studio, "cvat": cvat}
"""The module of each format, with `write(folder, exported, images)` and `read(path, exported)`."""

EXISTING_FORMATS = {
    "png": label_maps,
    "coco": coco,
    "label_studio": label_studio,
    "cvat": cvat,
    "cityscapes": cityscapes,
}
"""The module of each format of labels that existed before the run, with `read(path, existing)`."""
