"""Turns a canvas of surfaces into light: texture, sun and shadow, haze and the sky."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from labor_jax.data.street.canvas import FIELDS, INVERSE_DEPTHS, Canvas, Face
from labor_jax.data.street.light import Light

_ROW = {name: row for row, name in enumerate(FIELDS)}
_BITS = 8
_MASK = (1 << _BITS) - 1
_CELLS = 32  # cells of the smooth noise along a side of its table
_FINENESS = (_MASK + 1) // _CELLS


def _make_noise() -> tuple[np.ndarray, np.ndarray]:
    """Returns two tables f32[256 * 256] in [-1, 1] that tile: white noise and smooth noise."""
    rng = np.random.default_rng(0)
    white = rng.random((_MASK + 1, _MASK + 1))
    white += 0.35 * (np.roll(white, 1, 0) + np.roll(white, 1, 1))
    # Linear interpolation between cells, as a box filter over repeated cells.
    smooth = np.kron(rng.random((_CELLS, _CELLS)), np.ones((_FINENESS, _FINENESS)))
    for axis in (0, 1):
        smooth = sum(np.roll(smooth, k, axis) for k in range(_FINENESS))

    def scaled(noise: np.ndarray) -> np.ndarray:
        noise = noise - noise.mean()
        return (noise / np.abs(noise).max()).astype(np.float32).ravel()

    return scaled(white), scaled(smooth)


_WHITE, _SMOOTH = _make_noise()


def _lookup(table: np.ndarray, s: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Looks a noise table up at whole coordinates, int32 of any shape, wrapped around."""
    return table.take(((s & _MASK) << _BITS) | (t & _MASK))


def _smooth_noise(s: np.ndarray, t: np.ndarray, seed: int) -> np.ndarray:
    """Returns smooth noise at real coordinates that count its cells."""
    s, t = (s * _FINENESS).astype(np.int32), (t * _FINENESS).astype(np.int32)
    return _lookup(_SMOOTH, s + 2 * seed, t)


def shade(canvas: Canvas, light: Light, seed: int) -> np.ndarray:
    """Returns the light that arrives from every pixel.

    Args:
      canvas: the drawn scene.
      light: light and weather.
      seed: chooses where in the noise the scene's textures begin.

    Returns:
      f32[3, H, W], about [0, 1], without the camera's effects.
    """
    camera = canvas.camera
    ids = canvas.ids()
    table = canvas.table()
    u, v = canvas.grid()

    def field(name: str) -> np.ndarray:
        return table[_ROW[name]].take(ids)

    inverse = field("plane") + field("plane_u") * u + field("plane_v") * v
    np.clip(inverse, *INVERSE_DEPTHS, out=inverse)
    z = 1.0 / inverse
    x = (u - camera.centre) * z / camera.focal + camera.offset
    y = camera.height - (v - camera.horizon) * z / camera.focal
    face = field("face")
    flat = face == Face.UP
    across = (face == Face.LEFT) | (face == Face.RIGHT)
    s = np.where(across, z, np.where(flat, x - camera.shift(z), x))
    t = np.where(flat, z, y)

    # Metres that a pixel of a 96-row image spans, roughly: finer detail fades to its mean.
    footprint = z * (1.0 / (96.0 * camera.focal)) * (1.0 + (across | flat) * (z / 5.0))

    period_s, period_t = field("period_s"), field("period_t")
    cell_s, cell_t = s / period_s, t / period_t
    floor_s, floor_t = np.floor(cell_s), np.floor(cell_t)
    duty_s, duty_t = field("duty_s"), field("duty_t")
    inside = (cell_s - floor_s < duty_s) & (cell_t - floor_t < duty_t)
    sharp = np.clip(np.minimum(period_s, period_t) / footprint - 0.7, 0.0, 1.0)
    second = inside * sharp + (1.0 - sharp) * duty_s * duty_t
    which = _lookup(
        _WHITE, floor_s.astype(np.int32) * 7 + ids * 31 + seed, floor_t.astype(np.int32) * 5 + ids
    )
    cell_gain = 1.0 + field("variety") * which

    scale = field("scale")
    fine = _lookup(
        _WHITE, (s * scale).astype(np.int32) + seed + ids * 17, (t * scale).astype(np.int32) + ids
    )
    coarse = _smooth_noise(s * (0.2 * scale), t * (0.2 * scale), seed)
    fade = 1.0 / (1.0 + 0.7 * footprint * scale)
    grain = 1.0 + field("grain") * (0.6 * fade * fine + 0.9 * coarse)

    glow = field("glow")
    lit = (which > 0.75 - light.lit_windows) & inside & (field("variety") > 0.0)
    glow = np.maximum(glow, lit * (0.8 if light.lit_windows else 0.0))
    sun = np.asarray(light.faces, np.float32).take(face.astype(np.int32))
    if light.shade:
        sun *= 1.0 - _shadow(canvas, light) * flat
    facing = 1.0 - glow

    haze = (1.0 - np.exp(-light.haze * z)) * (inverse > 1.1 * INVERSE_DEPTHS[0])
    wet = 0.0
    if light.wet:
        wet = light.wet * flat * (table[_ROW["label"]].take(ids) < 2) * (z / (z + 6.0))
        wet = wet * (1.0 + coarse)
    image = np.empty((3, *canvas.size), np.float32)
    for channel, (first, other) in enumerate(
        (("red", "red_2"), ("green", "green_2"), ("blue", "blue_2"))
    ):
        base, grid = field(first), field(other)
        colour = (base + (grid * cell_gain - base) * second) * grain
        if light.lit_windows:
            colour = np.where(lit, (1.0, 0.82, 0.45)[channel], colour)
        lighting = light.ambient[channel] + light.sun[channel] * sun
        colour = colour * (lighting * facing + glow)
        if light.wet:
            colour += (light.sky_low[channel] - colour) * wet
        colour += (light.haze_colour[channel] - colour) * haze
        image[channel] = colour
    _paint_sky(image, ids == 0, u, v, camera.horizon, light, seed)
    return image


def _paint_sky(
    image: np.ndarray,
    sky: np.ndarray,
    u: np.ndarray,
    v: np.ndarray,
    horizon: float,
    light: Light,
    seed: int,
) -> None:
    """Writes the sky's gradient and its clouds into f32[3, H, W] where bool[H, W] is sky."""
    last = int(np.searchsorted(v[:, 0], horizon)) + 1
    v, sky = v[:last], sky[:last]
    gradient = np.clip((horizon - v) / 0.5, 0.0, 1.0) ** 0.7
    cloud = np.float32(0.0)
    if light.clouds:
        # Clouds lie flat overhead: they crowd towards the horizon.
        near = 1.0 / (np.maximum(horizon - v, 0.0) + 0.14)
        coarse = _smooth_noise((u - 1.0) * near * 2.0, near * 3.0, seed)
        fine = _smooth_noise((u - 1.0) * near * 5.0, near * 8.0, seed)
        cloud = 0.4 * light.clouds * np.clip(coarse + 0.5 * fine, -0.3, 1.0)
    for channel in range(3):
        low, top = light.sky_low[channel], light.sky_top[channel]
        part = image[channel, :last]
        np.copyto(part, low + (top - low) * gradient + cloud, where=sky)


def _shadow(canvas: Canvas, light: Light) -> np.ndarray:
    """Returns f32[H, W]: the part of the direct light that the shadows take away."""
    mask: Image.Image = canvas.shadow()
    blurred = mask.filter(ImageFilter.BoxBlur(canvas.size[0] / 120.0))
    return np.asarray(blurred, np.float32) * np.float32(light.shade / 255.0)
