"""Toy street scenes in two domains, drawn from a seed. They need no files.

`render` draws one labelled image; `StreetScenes` is a split of them. Labels are Cityscapes' 19
classes. The "simulator" domain is clean and flat at noon; the "camera" domain has other materials,
light, weather and object statistics, and the noise and blur of a real camera.
"""

from labor_jax.data.driving.cityscapes import CLASSES, PALETTE
from labor_jax.data.street.scenes import DOMAINS, MINIMUM_SIZE, StreetScenes, render

__all__ = ["CLASSES", "DOMAINS", "MINIMUM_SIZE", "PALETTE", "StreetScenes", "render"]
