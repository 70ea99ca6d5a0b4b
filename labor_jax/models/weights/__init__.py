"""Published weights: files, their layouts, and reading and writing a segmenter's variables.

Released weights fit the published networks only: ResNet-101 of width 64 with the stem "imagenet" at
output stride 8, and a head of four rates or of 512 channels. What a file does not show is up to the
segmenter: its output stride, rates and `first_two_only`.

Each of the modules ripu, caffe, torchvision and efficientnet_lite registers its layouts; `native`
registers the package's own, which `labor-jax export --to safetensors` writes.
"""

from labor_jax.models.weights import (  # noqa: F401
    caffe,
    efficientnet_lite,
    native,
    ripu,
    torchvision,
)
from labor_jax.models.weights.files import WeightsError
from labor_jax.models.weights.layouts import LAYOUTS, Layout, register_layout
from labor_jax.models.weights.loading import (
    installed_weights,
    load_weights,
    read_weights,
    save_weights,
    to_torch,
)

__all__ = [
    "LAYOUTS",
    "Layout",
    "WeightsError",
    "installed_weights",
    "load_weights",
    "read_weights",
    "register_layout",
    "save_weights",
    "to_torch",
]
