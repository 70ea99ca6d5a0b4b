"""Procedural street scenes in two domains, drawn from a seed: the data that needs no files.

`render` draws one labelled image; `StreetScenes` is a split of them. The labels are the 19
Cityscapes classes. The "simulator" domain is clean and flat at noon; the "camera" domain has other
materials, light, weather, object statistics and the traces of a real camera.
"""

from labor_jax.data.street.classes import CLASSES, PALETTE
from labor_jax.data.street.scenes import DOMAINS, MINIMUM_SIZE, StreetScenes, render

__all__ = ["CLASSES", "DOMAINS", "MINIMUM_SIZE", "PALETTE", "StreetScenes", "render"]
