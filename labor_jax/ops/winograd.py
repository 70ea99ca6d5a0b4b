"""3x3 convolutions with 16 products where a sum over the taps takes 36: Winograd's F(2x2, 3x3).

Lavin and Gray 2016 (arXiv 1509.09308, section 4.1). A tile of 4x4 pixels is transformed to B^T d B,
the filter to G g G^T, also 4x4. Their product, pixel by pixel and summed over channels, is m, and
A^T m A are 2x2 outputs. A filter of dilation d convolves the d^2 images of every d-th row and
column separately; here these images are axes of the tiles. All transforms are sums, differences and
halves, so the result in float32 is as accurate as the sum over the taps.
"""

import functools

import jax
import jax.numpy as jnp

from labor_jax.ops import platforms
from labor_jax.ops.convolution import dilated_convolution
from labor_jax.ops.varying import vary_together

# Measured on CPUs: with fewer, the transforms cost as much time as the products save.
_MIN_CHANNELS = 64
_MIN_TILES = 64
# Products with all tiles, padding included, over products with the taps; 4/9 without padding.
_MAX_SHARE_OF_PRODUCTS = 0.6

# Along one axis, where the transform of the mirrored filter has the transformed filter's values.
_MIRRORED = (3, 1, 2, 0)


def convolution_3x3(inputs: jax.Array, kernel: jax.Array, dilation: int = 1) -> jax.Array:
    """Convolves with a dilated 3x3 filter at stride 1 and pads so that the size stays.

    On CPUs it is `winograd`, where that pays: float32, many channels, several tiles an image. It
    then takes 0.4 to 1.0 times as long as XLA's convolution, which is used everywhere else.

    Args:
      inputs: f32 or bf16[B, H, W, C].
      kernel: same dtype, [3, 3, C, D].
      dilation: distance in pixels between the filter's taps.

    Returns:
      [B, H, W, D] in the dtype of `inputs`.

    Raises:
      ValueError: for a filter that is not 3x3.
    """
    if kernel.shape[:2] != (3, 3):
        raise ValueError(f"the filter has the shape {kernel.shape}; it must be [3, 3, C, D].")

    if platforms.is_portable() or not _pays(inputs, kernel, dilation):
        return dilated_convolution(inputs, kernel, dilation)
    return platforms.choose(
        inputs, kernel, cpu=winograd, default=dilated_convolution, dilation=dilation
    )


def winograd(inputs: jax.Array, kernel: jax.Array, dilation: int) -> jax.Array:
    """`convolution_3x3` by Winograd's method; computes in float32 whatever the dtype."""
    return _winograd(*vary_together(inputs, kernel), dilation)


def _pays(inputs, kernel, dilation) -> bool:
    """Whether Winograd's method is faster on a CPU."""
    batch, height, width, _ = inputs.shape
    batch = batch if isinstance(batch, int) else 1  # a symbol, in a program that is exported
    tiles = batch * dilation**2 * _tiles(height, dilation) * _tiles(width, dilation)
    return (
        inputs.dtype == jnp.float32
        and min(kernel.shape[2:]) >= _MIN_CHANNELS
        and tiles >= _MIN_TILES
        and 16 * tiles <= _MAX_SHARE_OF_PRODUCTS * 9 * batch * height * width
    )


def _tiles(length: int, dilation: int) -> int:
    """Tiles of an axis: each gives two outputs of each of the `dilation` images."""
    return -(-length // (2 * dilation))


def _split(images, dilation, halo):
    """[B, H, W, C], padded, to f32[B, n, 2, d, m, 2, d, C]: rows are (n 2 + parity) d + phase."""
    images = images.astype(jnp.float32)
    batch, height, width, channels = images.shape
    rows, columns = (_tiles(length, dilation) + halo for length in (height, width))
    before = halo * dilation
    pads = [
        (before, 2 * dilation * count - length - before, 0)
        for count, length in ((rows, height), (columns, width))
    ]
    images = jax.lax.pad(images, jnp.zeros((), images.dtype), [(0, 0, 0), *pads, (0, 0, 0)])
    if halo:
        images = jax.lax.optimization_barrier(images)
    return images.reshape(batch, rows, 2, dilation, columns, 2, dilation, channels)


def _by_two_axes(transform, split, order=(0, 1, 2, 3)):
    """Transforms rows, then columns, of [B, n, 2, d, m, 2, d, C] to four of f32[4, T, C]."""
    rows = jnp.stack([transform(split, 1)[position] for position in order])
    # Without the barrier each of the four reads the image once more.
    rows = jax.lax.optimization_barrier(rows)
    columns = transform(rows, 4)
    return [columns[position].reshape(4, -1, split.shape[-1]) for position in order]


def _pixels_1d(x, axis):
    """B^T d along (tiles, parity) at `axis`: the four pixels of a tile lie in two that touch."""
    even, odd = (jax.lax.index_in_dim(x, parity, axis + 1, keepdims=False) for parity in (0, 1))
    count = even.shape[axis] - 1
    (first, third), (second, fourth) = (
        [jax.lax.slice_in_dim(half, start, start + count, axis=axis) for start in (0, 1)]
        for half in (even, odd)
    )
    return first - third, second + third, third - second, second - fourth


def _outputs_transposed_1d(y, axis):
    """A y along the parity of outputs, after the tiles at `axis`."""
    first, second = (jax.lax.index_in_dim(y, p, axis + 1, keepdims=False) for p in (0, 1))
    return first, first + second, first - second, -second


def _outputs_1d(m):
    """A^T m."""
    return m[0] + m[1] + m[2], m[1] - m[2] - m[3]


def _filter_1d(g):
    """G g."""
    outer, middle = (g[0] + g[2]) / 2, g[1] / 2
    return g[0], outer + middle, outer - middle, g[2]


def _filter_transposed_1d(u):
    """G^T u."""
    outer, middle = (u[1] + u[2]) / 2, (u[1] - u[2]) / 2
    return u[0] + outer, middle, outer + u[3]


def _pixel_tiles(images, dilation, order=(0, 1, 2, 3)):
    split = _split(images, dilation, 1)
    return _by_two_axes(_pixels_1d, split, order)


def _transformed_filters(kernel):
    """[3, 3, C, D] to four, by column, of f32[4, C, D], by row."""
    rows = jnp.stack(_filter_1d(kernel.astype(jnp.float32)))
    return _filter_1d(jnp.moveaxis(rows, 1, 0))


def _image(products, images, dilation, order=(0, 1, 2, 3)):
    """Four of f32[4, T, D], products of tiles and filters, to [B, H, W, D], for `images`."""
    batch, height, width, _ = images.shape
    rows, columns = _tiles(height, dilation), _tiles(width, dilation)
    channels = products[0].shape[-1]
    tiles = [
        products[position].reshape(4, batch, rows, dilation, columns, dilation, channels)
        for position in order
    ]
    left, right = (
        _outputs_1d([column[position] for position in order]) for column in _outputs_1d(tiles)
    )
    by_row = [jnp.stack([left[parity], right[parity]], axis=4) for parity in (0, 1)]
    image = jnp.stack(by_row, axis=2)
    image = image.reshape(batch, 2 * dilation * rows, 2 * dilation * columns, channels)
    return image[:, :height, :width].astype(images.dtype)


def _products(equation, a, b):
    return [
        jnp.einsum(equation, x, y, preferred_element_type=jnp.float32)
        for x, y in zip(a, b, strict=True)
    ]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _winograd(inputs, kernel, dilation):
    tiles = _pixel_tiles(inputs, dilation)
    products = _products("ktc,kcd->ktd", tiles, _transformed_filters(kernel))
    return _image(products, inputs, dilation)


def _forward(inputs, kernel, dilation):
    return _winograd(inputs, kernel, dilation), (inputs, kernel)


def _backward(dilation, residuals, cotangent):
    inputs, kernel = residuals
    # The gradient of the inputs is a convolution with the mirrored filter, whose transform is the
    # filter's own in another order.
    tiles = _pixel_tiles(cotangent, dilation, _MIRRORED)
    products = _products("ktd,kcd->ktc", tiles, _transformed_filters(kernel))
    inputs_gradient = _image(products, inputs, dilation, _MIRRORED)

    split = _split(cotangent, dilation, 0)
    products = _products(
        "ktc,ktd->kcd",
        _pixel_tiles(inputs, dilation),
        _by_two_axes(_outputs_transposed_1d, split),
    )
    columns = jnp.stack(_filter_transposed_1d(products), axis=1)
    kernel_gradient = jnp.stack(_filter_transposed_1d(columns))
    return inputs_gradient, kernel_gradient.astype(kernel.dtype)


_winograd.defvjp(_forward, _backward)
