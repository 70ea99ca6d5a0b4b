"""The formats in which a round is handed to other labelling tools and comes back."""

from labor_jax.annotation.formats import coco, cvat, label_studio, png

FORMATS = {"png": png, "coco": coco, "label_studio": label_studio, "cvat": cvat}
"""A module for each, with `write(folder, task, items)` and `read(path, task)`."""
