"""The file formats of other labelling tools, for export and import."""

from labor_jax.annotation.formats import coco, cvat, label_studio, png

FORMATS = {"png": png, "coco": coco, "label_studio": label_studio, "cvat": cvat}
"""The module of each format, with `write(folder, exported, images)` and `read(path, exported)`."""
