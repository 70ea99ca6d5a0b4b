"""A pinhole camera and the canvas of surfaces it draws on.

The canvas holds, for every pixel, the index of the surface seen there. The label and the colour are
both looked up from that one map, so they agree at every boundary. Every surface is a plane, and the
inverse depth of a plane is linear in the image coordinates, so three numbers a surface give back
the 3-D point behind each of its pixels.

Image coordinates are normalised: u in [0, 2] to the right, v in [0, 1] down, whatever the size of
the image. World coordinates are in metres: x to the right of the road's centre line, y up from the
ground, z along the road from the camera.
"""

from __future__ import annotations

import array
import dataclasses
import enum
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from labor_jax.data.street.dice import Colour

Point = tuple[float, float]
Plane = tuple[float, float, float]

FRAME_WIDTH = 2.0
_NEAREST = 0.6
# Smallest and largest inverse depth, in 1/metres, that a pixel is taken to have.
INVERSE_DEPTHS = (1.0 / 400.0, 1.0 / _NEAREST)


class Face(enum.IntEnum):
    """The way a surface faces, which decides its light and its texture coordinates."""

    FRONT = 0  # towards the camera: texture runs along (x, y)
    LEFT = 1  # towards the left: texture runs along (z, y)
    RIGHT = 2  # towards the right: texture runs along (z, y)
    UP = 3  # the ground and everything flat on it: texture runs along (x, z)


@dataclasses.dataclass(frozen=True)
class Camera:
    """A pinhole camera over a flat street that may bend.

    Attributes:
      focal: focal length in image heights.
      height: height over the ground in metres.
      horizon: v of the horizon.
      centre: u of the vanishing point of the straight road.
      offset: x of the camera in metres from the road's centre line.
      bend: curvature of the road in 1/metres, positive to the right.
    """

    focal: float
    height: float
    horizon: float
    centre: float
    offset: float
    bend: float

    def shift(self, z):
        """Returns how far, in metres, the road has bent to the right at depth z."""
        return 0.5 * self.bend * z * z / (1.0 + z / 60.0)

    def project(self, x: float, y: float, z: float) -> Point:
        """Returns (u, v) of a point that is x metres from the bent centre line."""
        z = max(z, _NEAREST)
        scale = self.focal / z
        return (
            self.centre + scale * (x + self.shift(z) - self.offset),
            self.horizon + scale * (self.height - y),
        )

    def facing(self, z: float) -> Plane:
        """Returns the plane of a surface at depth z that faces the camera."""
        return 1.0 / max(z, _NEAREST), 0.0, 0.0

    def along(self, x: float, near: float, far: float) -> Plane:
        """Returns the plane of a wall at x that runs along the road from `near` to `far`."""
        near = max(near, _NEAREST)
        u_near, u_far = self.project(x, 0.0, near)[0], self.project(x, 0.0, far)[0]
        if abs(u_far - u_near) < 1e-4:
            return self.facing(near)
        slope = (1.0 / far - 1.0 / near) / (u_far - u_near)
        return 1.0 / near - slope * u_near, slope, 0.0

    def ground(self) -> Plane:
        """Returns the plane of the ground."""
        scale = 1.0 / (self.focal * self.height)
        return -self.horizon * scale, 0.0, scale


class Texture(NamedTuple):
    """What varies over a surface.

    Attributes:
      grain: relative amplitude of the noise.
      scale: noise cells per metre.
      second: colour of the cells of a regular grid (windows, slats, slabs), or None.
      period: size of a grid cell in metres along the surface and up (or along) it.
      duty: part of a cell in the second colour, along both directions.
      variety: how much the second colour varies between cells.
    """

    grain: float = 0.0
    scale: float = 4.0
    second: Colour | None = None
    period: Point = (1.0, 1.0)
    duty: Point = (0.0, 0.0)
    variety: float = 0.0


PLAIN = Texture()

# Rows of Canvas.table().
FIELDS = (
    *("label", "red", "green", "blue", "red_2", "green_2", "blue_2"),
    *("plane", "plane_u", "plane_v", "face", "glow", "grain", "scale"),
    *("period_s", "period_t", "duty_s", "duty_t", "variety"),
)


class Canvas:
    """Surfaces drawn over one another, the last one in front.

    Args:
      camera: where the scene is seen from.
      size: (height, width) of the image in pixels.
    """

    def __init__(self, camera: Camera, size: tuple[int, int]):
        self.camera = camera
        self.size = size
        self._scale = (size[1] / FRAME_WIDTH, float(size[0]))
        self._surfaces = array.array("f")
        self._count = 0
        self._image = Image.new("I", (size[1], size[0]), 0)
        self._draw = ImageDraw.Draw(self._image)
        self._shadow = Image.new("L", (size[1], size[0]), 0)
        self._shade = ImageDraw.Draw(self._shadow)

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns u f32[1, W] and v f32[H, 1] at the centres of the pixels."""
        height, width = self.size
        u = (np.arange(width, dtype=np.float32) + 0.5) / np.float32(self._scale[0])
        v = (np.arange(height, dtype=np.float32) + 0.5) / np.float32(self._scale[1])
        return u[None, :], v[:, None]

    def surface(
        self,
        label: int,
        colour: Colour,
        plane: Plane,
        face: Face = Face.FRONT,
        texture: Texture = PLAIN,
        glow: float = 0.0,
    ) -> int:
        """Adds a surface and returns its index.

        Args:
          label: its class.
          colour: its reflectance in [0, 1].
          plane: inverse depth as (constant, per u, per v).
          face: the way it faces.
          texture: what varies over it.
          glow: 1 for what shines by itself, 0 for what is lit.
        """
        self._surfaces.extend(
            (
                *(label, *colour, *(texture.second or colour), *plane, face, glow),
                *(texture.grain, texture.scale, *texture.period, *texture.duty, texture.variety),
            )
        )
        self._count += 1
        return self._count - 1

    def table(self) -> np.ndarray:
        """Returns f32[len(FIELDS), surfaces]: one column a surface."""
        rows = np.array(self._surfaces, np.float32).reshape(self._count, len(FIELDS))
        return np.ascontiguousarray(rows.T)

    def ids(self) -> np.ndarray:
        """Returns int32[H, W]: the surface seen in every pixel."""
        return np.asarray(self._image)

    def labels(self) -> np.ndarray:
        """Returns uint8[H, W]: the class seen in every pixel."""
        return self.table()[FIELDS.index("label")].astype(np.uint8).take(self.ids())

    def paste(self, ids: np.ndarray) -> None:
        """Replaces the whole canvas by surface indices int32[H, W]."""
        self._image = Image.fromarray(ids)
        self._draw = ImageDraw.Draw(self._image)

    def shadow(self) -> Image.Image:
        """Returns the mask (mode L) of the shadows cast on the ground."""
        return self._shadow

    def polygon(self, points: Sequence[Point], surface: int) -> None:
        """Fills a polygon given in image coordinates."""
        self._draw.polygon(self._pixels(points), fill=surface)

    def ellipse(self, centre: Point, radius: Point, surface: int) -> None:
        """Fills an ellipse given in image coordinates."""
        (u, v), (across, up) = centre, radius
        box = self._pixels(((u - across, v - up), (u + across, v + up)))
        self._draw.ellipse(box, fill=surface)

    def upright(self, x: float, z: float, corners: Sequence[Point], surface: int) -> None:
        """Fills a polygon that faces the camera: corners in metres from the foot point (x, z)."""
        u, v = self.camera.project(x, 0.0, z)
        scale = self.camera.focal / max(z, _NEAREST)
        self.polygon([(u + scale * dx, v - scale * dy) for dx, dy in corners], surface)

    def disc(self, x: float, z: float, centre: Point, radius: Point, surface: int) -> None:
        """Fills an ellipse that faces the camera, in metres from the foot point (x, z)."""
        u, v = self.camera.project(x, 0.0, z)
        scale = self.camera.focal / max(z, _NEAREST)
        self.ellipse(
            (u + scale * centre[0], v - scale * centre[1]),
            (scale * radius[0], scale * radius[1]),
            surface,
        )

    def solid(self, points: Sequence[tuple[float, float, float]], surface: int) -> None:
        """Fills a polygon given by its corners (x, y, z) in the world."""
        project = self.camera.project
        self.polygon([project(*point) for point in points], surface)

    def cast(self, ground: Sequence[Point]) -> None:
        """Darkens a polygon on the ground given by (x, z) corners."""
        project = self.camera.project
        self._shade.polygon(self._pixels([project(x, 0.0, z) for x, z in ground]), fill=255)

    def _pixels(self, points: Sequence[Point]) -> list[Point]:
        # Pillow cuts coordinates to whole numbers towards zero: floor keeps outside points outside.
        across, down = self._scale
        return [(math.floor(u * across), math.floor(v * down)) for u, v in points]
