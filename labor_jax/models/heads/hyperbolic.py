"""A hyperbolic head: pixels lie in the Poincare ball, where how far out they lie says something."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from labor_jax.models.features import Features
from labor_jax.models.registry import register_head

# What a vector's norm is limited to: beyond, points and their distances have no digits left in
# float32. A plane that is farther out would tell nothing apart, and its logits would be enormous.
_LARGEST_NORM = 15.0
_LARGEST_OFFSET = 2.0
_EPSILON = 1e-12


@register_head("hyperbolic")
class Hyperbolic(nn.Module):
    """Multinomial logistic regression in the Poincare ball of curvature -1.

    A 1x1 convolution of the last map makes a vector v, and x = tanh(|v|) v / |v| is the pixel's
    point in the ball: the exponential map at the origin. A class has a hyperplane through the point
    p with the normal a, and its logit is the signed distance to it times what Euclidean regression
    would scale it by:

        2 |a| / (1 - |p|^2) asinh(2 <z, a> / ((1 - |z|^2) |a|)),  z = -p (Moebius +) x.

    HALO's published code also reweights the vectors by their norms before they are mapped; that is
    left out here.

    Attributes:
      num_classes: C.
      embedding_channels: the dimension of the ball.
      dropout: share of feature channels dropped in training.
      dtype: of the convolution; all in the ball is float32.

    References:
      Ganea, Becigneul and Hofmann, "Hyperbolic Neural Networks", NeurIPS 2018, arXiv 1805.09112,
      Eq. 25; for segmentation Atigh et al., CVPR 2022, arXiv 2203.05898; HALO: Franco et al., ICML
      2024, arXiv 2306.11180.
    """

    num_classes: int
    embedding_channels: int = 64
    dropout: float = 0.0
    dtype: Any = jnp.float32

    def setup(self):
        """Makes the convolution, and the classes' hyperplanes."""
        self.drop = nn.Dropout(self.dropout, broadcast_dims=(1, 2))
        self.embedding = nn.Dense(self.embedding_channels, dtype=self.dtype)
        shape = (self.embedding_channels, self.num_classes)
        self.normals = self.param("normals", nn.initializers.lecun_normal(), shape, jnp.float32)
        # In the tangent space at the origin, so that any value is a point in the ball.
        self.offsets = self.param("offsets", nn.initializers.zeros, shape, jnp.float32)

    def __call__(self, features: Features, train: bool = False) -> jax.Array:
        """Returns f32[B, h, w, num_classes] logits at the resolution of the last map.

        Args:
          features: of which the last map is read.
          train: whether dropout is active; it takes the "dropout" random key.
        """
        points, norms = to_ball(self.embed(features, train), axis=-1)
        return regression(points, norms, self.normals, self.offsets)

    def embed(self, features: Features, train: bool = False) -> jax.Array:
        """The vectors f32[B, h, w, embedding_channels] before they are mapped to the ball."""
        x = self.drop(features[-1].astype(self.dtype), deterministic=not train)
        return self.embedding(x).astype(jnp.float32)

    def radii(self, features: Features) -> jax.Array:
        """The hyperbolic radius f32[B, h, w]: the points' distance from the origin, 2 |v|."""
        return 2.0 * jnp.linalg.norm(self.embed(features), axis=-1)


def to_ball(
    vectors: jax.Array, *, axis: int, largest: float = _LARGEST_NORM
) -> tuple[jax.Array, jax.Array]:
    """The exponential map at the origin of the Poincare ball.

    Args:
      vectors: f32[...], with their components along an axis.
      axis: that axis.
      largest: longer vectors count as that long.

    Returns:
      The points f32[...], and the norms of the vectors, with an axis of size 1 in that place.
    """
    norms = jnp.sqrt(jnp.sum(jnp.square(vectors), axis=axis, keepdims=True) + _EPSILON)
    units, norms = vectors / norms, jnp.minimum(norms, largest)
    return jnp.tanh(norms) * units, norms


def regression(
    points: jax.Array, norms: jax.Array, normals: jax.Array, offsets: jax.Array
) -> jax.Array:
    """The logits of points in the ball, see `Hyperbolic`.

    2 <z, a> / (1 - |z|^2) is
    2 (<x, a> - (1 - 2 <p, x> + |x|^2) / (1 - |p|^2) <p, a>) / (1 - |x|^2), which takes two matrix
    products, and 1 - |x|^2 is cosh(|v|)^-2, which keeps its digits near the border of the ball.

    Args:
      points: f32[..., D], x.
      norms: f32[..., 1], |v|.
      normals: f32[D, C], a.
      offsets: f32[D, C], the vectors that are mapped to p; longer ones than 2 count as that long.

    Returns:
      f32[..., C].
    """
    highest = jax.lax.Precision.HIGHEST
    offsets, offset_norms = to_ball(offsets, axis=0, largest=_LARGEST_OFFSET)
    inside = 1.0 / jnp.square(jnp.cosh(offset_norms[0]))
    along = jnp.matmul(points, normals, precision=highest)
    shifted = 1.0 - 2.0 * jnp.matmul(points, offsets, precision=highest)
    shifted += jnp.sum(jnp.square(points), axis=-1, keepdims=True)
    length = jnp.sqrt(jnp.sum(jnp.square(normals), axis=0) + _EPSILON)
    distance = along - shifted / inside * jnp.sum(offsets * normals, axis=0)
    ratio = 2.0 * distance * jnp.square(jnp.cosh(norms)) / length
    return 2.0 * length / inside * jnp.arcsinh(ratio)
