"""Turns light into a picture: a renderer's clean one, or a real camera's."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter

from labor_jax.data.street.dice import Dice


def _picture(light: np.ndarray) -> Image.Image:
    """Returns an RGB picture of f32[3, H, W] in [0, 255]."""
    levels = np.clip(light, 0.0, 255.0).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(levels.transpose(1, 2, 0)))


def render_clean(light: np.ndarray) -> np.ndarray:
    """Returns uint8[H, W, 3] of the light f32[3, H, W]: what a renderer writes."""
    return np.asarray(_picture(light * 255.0 + 0.5))


def render_camera(light: np.ndarray, dice: Dice, rng: np.random.Generator) -> np.ndarray:
    """Returns uint8[H, W, 3] of the light f32[3, H, W]: what a cheap camera delivers.

    Exposure, white balance and a tone curve, vignette, blur of lens and motion, noise that grows
    with the light, and JPEG. Every parameter is drawn from the dice; the noise comes from `rng`.
    """
    _, height, width = light.shape
    exposure = dice.uniform(0.9, 1.2)
    warm, green = dice.uniform(-0.10, 0.10), dice.uniform(-0.03, 0.03)
    gains = np.array([1.0 + warm, 1.0 + green, 1.0 - warm], np.float32) * exposure
    contrast = dice.uniform(0.8, 1.2)
    vignette = dice.uniform(0.05, 0.35)
    blur = dice.uniform(0.15, 0.85) * height / 96.0
    read, shot = dice.uniform(1.0, 5.0), dice.uniform(0.0, 5.0)
    quality = dice.integer(45, 88)

    down = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None]
    across = np.linspace(-1.0, 1.0, width, dtype=np.float32)[None, :]
    fall = 1.0 - vignette * 0.5 * (down * down + across * across)
    image = light * (gains[:, None, None] * fall)
    np.clip(image, 0.0, 1.0, out=image)
    # A mixture of the straight line and the smooth step: contrast 1 leaves the light as it is.
    image += (contrast - 1.0) * (image * image * (3.0 - 2.0 * image) - image) * 2.0
    image *= 255.0
    blurred = _picture(image).filter(ImageFilter.BoxBlur(blur))

    noisy = np.asarray(blurred).astype(np.float32)
    grain = rng.standard_normal(noisy.shape, np.float32)
    noisy += grain * (read + shot * np.sqrt(noisy * (1.0 / 255.0)))
    np.clip(noisy, 0.0, 255.0, out=noisy)
    stream = io.BytesIO()
    Image.fromarray(noisy.astype(np.uint8)).save(stream, "JPEG", quality=quality)
    stream.seek(0)
    with Image.open(stream) as decoded:
        return np.array(decoded.convert("RGB"))
