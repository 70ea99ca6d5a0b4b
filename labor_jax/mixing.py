"""Images made from others on the device: class mixing, block masks, Fourier swaps, textures.

Pure functions of one image or one pair of images; use `jax.vmap` for a batch, with a key for each.
"""

import jax
import jax.numpy as jnp


def class_mix(
    key: jax.Array,
    source_image: jax.Array,
    source_label: jax.Array,
    target_image: jax.Array,
    target_label: jax.Array,
    num_classes: int,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Pastes half of a source image's classes onto a target image.

    Args:
      key: A JAX random key, which chooses the classes.
      source_image: `[H, W, 3]`.
      source_label: Classes, `int[H, W]`; a label outside of 0 to C - 1 is void and never pasted.
      target_image: `[H, W, 3]`.
      target_label: Classes, `int[H, W]`, such as a teacher's pseudo labels.
      num_classes: C.

    Returns:
      The mixed image `[H, W, 3]`, its label `int[H, W]`, and where both are the source's,
      `bool[H, W]`: the pixels of half of the classes in `source_label`, rounded up.

    Raises:
      ValueError: If images and labels differ in size.

    References:
      Olsson et al., ClassMix, WACV 2021, https://arxiv.org/abs/2007.07936, and Tranheden et al.,
      DACS, WACV 2021, https://arxiv.org/abs/2007.08702. Their code counts void as a class.
    """
    sizes = {
        "source_image": source_image.shape[:2],
        "source_label": source_label.shape,
        "target_image": target_image.shape[:2],
        "target_label": target_label.shape,
    }
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise ValueError(f"images and labels must have one size; got {listed}")
    classes = jnp.arange(num_classes)
    present = jnp.any(source_label[..., None] == classes, axis=(0, 1))
    drawn = jnp.where(present, jax.random.uniform(key, (num_classes,), jnp.float32), 2.0)
    rank = jnp.argsort(jnp.argsort(drawn))
    chosen = present & (rank < (jnp.sum(present) + 1) // 2)
    from_source = jnp.any((source_label[..., None] == classes) & chosen, axis=-1)
    image = jnp.where(from_source[..., None], source_image, target_image)
    label = jnp.where(from_source, source_label, target_label)
    return image, label, from_source


def fitted(
    key: jax.Array, image: jax.Array, label: jax.Array, size: tuple[int, int], void: int = 255
) -> tuple[jax.Array, jax.Array]:
    """Cuts an image and its label to a size at a random place, or pads them where they are smaller.

    Args:
      key: A JAX random key.
      image: `[H, W, 3]`, padded with 0.
      label: Classes, `int[H, W]`, padded with `void`.
      size: (height, width) of the result.
      void: A label that is no class.

    Returns:
      The image `[height, width, 3]` and the label `int[height, width]`.
    """
    for axis, side in enumerate(size):
        missing = max(0, side - label.shape[axis])
        padding = [(missing, missing) if each == axis else (0, 0) for each in range(3)]
        image = jnp.pad(image, padding)
        label = jnp.pad(label, padding[:2], constant_values=void)
        key, own_key = jax.random.split(key)
        first = jax.random.randint(own_key, (), 0, label.shape[axis] - side + 1, jnp.int32)
        image, label = (
            jax.lax.dynamic_slice_in_dim(each, first, side, axis) for each in (image, label)
        )
    return image, label


def random_block_mask(
    key: jax.Array, size: tuple[int, int], *, block: int, ratio: float
) -> jax.Array:
    """Draws square blocks to hide from the network.

    Args:
      key: A JAX random key.
      size: (H, W).
      block: The blocks' side in pixels; those at the right and bottom border are cut off.
      ratio: The probability that a block is hidden, 0 to 1.

    Returns:
      `bool[H, W]`, True where the image is kept.

    Raises:
      ValueError: If `block` is below 1 or `ratio` is not from 0 to 1.

    References:
      Hoyer et al., MIC, CVPR 2023, https://arxiv.org/abs/2212.01322, Eq. 5: blocks of 64 pixels at
      full resolution, ratio 0.7.
    """
    if block < 1:
        raise ValueError(f"block is {block}; a block has at least 1 pixel")
    if not 0 <= ratio <= 1:
        raise ValueError(f"ratio is {ratio}; it is a probability, from 0 to 1")
    rows, columns = (-(-side // block) for side in size)
    kept = jax.random.uniform(key, (rows, columns), jnp.float32) >= ratio
    return kept.repeat(block, 0).repeat(block, 1)[: size[0], : size[1]]


def fourier_swap(source_image: jax.Array, target_image: jax.Array, beta: float) -> jax.Array:
    """Gives a source image the lowest-frequency amplitudes of a target image.

    Args:
      source_image: `[H, W, 3]`, not normalised: FDA swaps before the mean is subtracted.
      target_image: `[H, W, 3]`, of the same size.
      beta: How far the swapped frequencies reach, as a share of the smaller side: those of at most
        floor(beta * min(H, W)) periods along both axes. FDA takes 0.01, 0.05 and 0.09.

    Returns:
      `f32[H, W, 3]`, with the source's phase everywhere and its amplitudes elsewhere; values may
      leave the range of the images.

    Raises:
      ValueError: If the images differ in shape, or `beta` is negative.

    References:
      Yang and Soatto, FDA, CVPR 2020, https://arxiv.org/abs/2004.05498, Eq. 3.
    """
    if source_image.shape != target_image.shape:
        raise ValueError(
            f"source_image has shape {source_image.shape} and target_image {target_image.shape}; "
            "they must be equal"
        )
    if beta < 0:
        raise ValueError(f"beta is {beta}; it can't be negative")
    height, width = source_image.shape[:2]
    reach = int(beta * min(height, width))
    # rint: the frequencies are whole numbers but for rounding.
    rows, columns = (
        jnp.abs(jnp.rint(jnp.fft.fftfreq(side) * side)) <= reach for side in (height, width)
    )
    swapped = (rows[:, None] & columns)[..., None]
    source, target = (
        jnp.fft.fft2(image.astype(jnp.float32), axes=(0, 1))
        for image in (source_image, target_image)
    )
    amplitude = jnp.where(swapped, jnp.abs(target), jnp.abs(source))
    mixed = amplitude * jnp.exp(1j * jnp.angle(source))
    return jnp.real(jnp.fft.ifft2(mixed, axes=(0, 1))).astype(jnp.float32)


def match_colours(image: jax.Array, reference: jax.Array) -> jax.Array:
    """Gives an image the mean and the standard deviation of each channel of another image.

    Args:
      image: `[H, W, 3]`.
      reference: `[H', W', 3]`.

    Returns:
      `f32[H, W, 3]`; values may leave the range of the images. A channel of one value becomes the
      reference's mean.

    References:
      Reinhard et al., Color Transfer between Images, IEEE CG&A 2001; here on the image's own
      channels.
    """
    image, reference = (each.astype(jnp.float32) for each in (image, reference))
    mean, wanted_mean = (each.mean((0, 1)) for each in (image, reference))
    deviation, wanted = (each.std((0, 1)) for each in (image, reference))
    # By rounding, the deviation of one value need not be 0.
    varies = image.max((0, 1)) > image.min((0, 1))
    contrast = jnp.where(varies, wanted / jnp.maximum(deviation, 1e-3), 0.0)
    return (image - mean) * contrast + wanted_mean


def random_texture(
    key: jax.Array, image: jax.Array, *, kernel_size: int = 3, amplitude: float = 0.5
) -> jax.Array:
    """Gives an image another texture at random, and leaves its shapes.

    A random filter mixes neighbours and channels, and the result is blended with the image by a
    random share. Then each frequency's amplitude is scaled by a random factor, while its phase
    stays. The result has the image's own mean and standard deviation
    over all channels.

    Args:
      key: A JAX random key.
      image: `[H, W, 3]`.
      kernel_size: Of the filter, in pixels.
      amplitude: Standard deviation of the logarithm of the factors; 0 leaves the amplitudes.

    Returns:
      `f32[H, W, 3]`; values may leave the range of the images.

    References:
      The filter, and its blend with the image by a random share: Xu et al., RandConv, ICLR 2021,
      https://arxiv.org/abs/2007.13003.
    """
    filter_key, share_key, amplitude_key = jax.random.split(key, 3)
    image = image.astype(jnp.float32)
    height, width, channels = image.shape
    mean, deviation = image.mean(), image.std()
    shape = (kernel_size, kernel_size, channels, channels)
    kernel = jax.random.normal(filter_key, shape, jnp.float32)
    kernel /= (channels * kernel_size**2) ** 0.5
    centred = (image - mean) / jnp.maximum(deviation, 1e-3)
    filtered = jax.lax.conv_general_dilated(
        centred[None], kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )[0]
    share = jax.random.uniform(share_key, dtype=jnp.float32)
    spectrum = jnp.fft.rfft2(share * centred + (1 - share) * filtered, axes=(0, 1))
    noise = jax.random.normal(amplitude_key, spectrum.shape[:2], jnp.float32)
    factors = jnp.exp(amplitude * noise)
    textured = jnp.fft.irfft2(spectrum * factors[..., None], (height, width), axes=(0, 1))
    textured -= textured.mean()
    return mean + textured * (deviation / jnp.maximum(textured.std(), 1e-3))


def color_jitter(
    key: jax.Array, image: jax.Array, strength: float, probability: float = 0.8
) -> jax.Array:
    """Changes an image's colours by random amounts: brightness, contrast, saturation, then hue.

    Args:
      key: A JAX random key.
      image: `[H, W, 3]`, RGB in 0 to 255, of any dtype.
      strength: s, 0 to 0.5. Three factors are uniform in [1 - s, 1 + s]: of the colours, of their
        distance from the image's mean grey, and of their distance from each pixel's grey. The hue
        turns by a share of the circle uniform in [-s, s].
      probability: How often an image is changed at all.

    Returns:
      `f32[H, W, 3]` in 0 to 255.

    Raises:
      ValueError: If `strength` is not from 0 to 0.5.

    References:
      Tranheden et al., DACS, WACV 2021, https://arxiv.org/abs/2007.08702; strength 0.25 in its
      published code, whose order of the four is random.
    """
    if not 0 <= strength <= 0.5:
        raise ValueError(f"strength is {strength}; it is from 0 to 0.5")
    happens, *draws = jax.random.split(key, 5)
    amounts = [
        jax.random.uniform(draw, (), jnp.float32, minval=-strength, maxval=strength)
        for draw in draws
    ]
    image = image.astype(jnp.float32)
    changed = _changed_colors(image, *amounts)
    return jnp.where(jax.random.bernoulli(happens, jnp.float32(probability)), changed, image)


def _changed_colors(image, brightness, contrast, saturation, turn):
    """An image f32[H, W, 3] in 0 to 255 with all four changes, one after the other."""
    image = jnp.clip(image * (1 + brightness), 0.0, 255.0)
    grey = jnp.mean(image @ jnp.array(_GREY, jnp.float32))
    image = jnp.clip(grey + (1 + contrast) * (image - grey), 0.0, 255.0)
    grey = (image @ jnp.array(_GREY, jnp.float32))[..., None]
    image = jnp.clip(grey + (1 + saturation) * (image - grey), 0.0, 255.0)
    return _turned_hue(image, turn)


def gaussian_blur(image: jax.Array, sigma: jax.Array | float, radius: int) -> jax.Array:
    """Blurs an image; its border pixels are repeated outwards.

    Args:
      image: `[H, W, 3]`.
      sigma: The standard deviation in pixels, a scalar above 0 that may be traced.
      radius: How many pixels the window reaches each way, static; three sigmas are enough.

    Returns:
      `f32[H, W, 3]`.
    """
    offsets = jnp.arange(-radius, radius + 1, dtype=jnp.float32)
    weights = jnp.exp(-0.5 * jnp.square(offsets / jnp.asarray(sigma, jnp.float32)))
    weights /= weights.sum()
    image = image.astype(jnp.float32)
    for axis in (0, 1):
        side = image.shape[axis]
        padding = [(radius, radius) if each == axis else (0, 0) for each in range(3)]
        padded = jnp.pad(image, padding, mode="edge")
        image = sum(
            weights[k] * jax.lax.slice_in_dim(padded, k, k + side, axis=axis)
            for k in range(2 * radius + 1)
        )
    return image


# Of the grey value of RGB, ITU-R 601.
_GREY = (0.299, 0.587, 0.114)


def _turned_hue(image: jax.Array, turn: jax.Array) -> jax.Array:
    """Turns the hue of RGB in 0 to 255 by a share of the circle, keeping HSV's S and V."""
    value, least = image.max(-1), image.min(-1)
    chroma = value - least
    divisor = jnp.where(chroma > 0, chroma, 1.0)
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    sextant = jnp.select(
        [value == red, value == green],
        [(green - blue) / divisor, 2 + (blue - red) / divisor],
        4 + (red - green) / divisor,
    )
    # A channel of HSV, from how far it is from the hue in sixths of the circle.
    steps = (jnp.array([5.0, 3.0, 1.0], jnp.float32) + (sextant + 6 * turn)[..., None]) % 6
    share = jnp.clip(jnp.minimum(steps, 4 - steps), 0.0, 1.0)
    return value[..., None] - chroma[..., None] * share
