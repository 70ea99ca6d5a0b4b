"""Image operations as pure functions, some with one form for CPUs and one for accelerators.

XLA runs some convolutions and poolings, or their gradients, several times slower on a CPU than
possible, so these have a second form here. `jax.lax.platform_dependent` chooses when a program is
lowered for a platform; the other form is never compiled. Within `portable`, which converters to
other formats need, the forms for CPUs are left out. Both forms give the same values and gradients,
up to rounding, under every transformation except forward-mode differentiation.
"""

from labor_jax.ops.atrous import atrous_convolution
from labor_jax.ops.connected_components import connected_components
from labor_jax.ops.depthwise import depthwise_convolution
from labor_jax.ops.gradient_reversal import reverse_gradient
from labor_jax.ops.platforms import portable
from labor_jax.ops.pointwise import pointwise_convolution
from labor_jax.ops.pooling import max_pool
from labor_jax.ops.resize import (
    Taps,
    interpolate,
    resize_bilinear_align_corners,
    taps_align_corners,
)
from labor_jax.ops.superpixels import slic, superpixel_bound
from labor_jax.ops.winograd import convolution_3x3

__all__ = [
    "Taps",
    "atrous_convolution",
    "connected_components",
    "convolution_3x3",
    "depthwise_convolution",
    "interpolate",
    "max_pool",
    "pointwise_convolution",
    "portable",
    "resize_bilinear_align_corners",
    "reverse_gradient",
    "slic",
    "superpixel_bound",
    "taps_align_corners",
]
