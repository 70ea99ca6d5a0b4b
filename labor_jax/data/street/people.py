"""People on foot, bicycles, motorcycles, and their riders."""

from __future__ import annotations

import dataclasses

from labor_jax.data.street.canvas import Canvas, Point, Texture
from labor_jax.data.street.classes import Label
from labor_jax.data.street.dice import Colour, Dice
from labor_jax.data.street.styles import Materials


@dataclasses.dataclass(frozen=True)
class Outfit:
    """The colours and the size of one person.

    Attributes:
      height: in metres.
      top, trousers, skin, hat: colours; the hat also stands for hair.
    """

    height: float
    top: Colour
    trousers: Colour
    skin: Colour
    hat: Colour


def sample_outfit(dice: Dice, materials: Materials, rides: bool) -> Outfit:
    """Returns a person's colours; riders wear a jersey and a helmet."""
    return Outfit(
        height=dice.uniform(1.45, 1.9),
        top=dice.colour(materials.jersey if rides else materials.clothes, 0.05),
        trousers=dice.colour(materials.trousers, 0.05),
        skin=dice.colour(materials.skin, 0.04),
        hat=dice.colour(materials.helmet if rides else ((0.12, 0.09, 0.07), (0.5, 0.36, 0.2))),
    )


class _Figure:
    """Draws the parts of one figure at a place, mirrored by `turn`."""

    def __init__(self, canvas: Canvas, x: float, z: float, turn: float, grain: float):
        self._canvas, self._x, self._z, self._turn = canvas, x, z, turn
        self._plane = canvas.camera.facing(z)
        self._texture = Texture(grain, 6.0)

    def surface(self, label: int, colour: Colour) -> int:
        return self._canvas.surface(label, colour, self._plane, texture=self._texture)

    def shape(self, surface: int, *points: Point) -> None:
        corners = [(self._turn * x, y) for x, y in points]
        self._canvas.upright(self._x, self._z, corners, surface)

    def disc(self, surface: int, x: float, y: float, across: float, up: float) -> None:
        self._canvas.disc(self._x, self._z, (self._turn * x, y), (across, up), surface)


def draw_person(
    canvas: Canvas, x: float, z: float, outfit: Outfit, stride: float, turn: float, grain: float
) -> None:
    """Draws a person on foot.

    Args:
      canvas: what to draw on.
      x: position in metres from the centre line.
      z: depth in metres.
      outfit: colours and size.
      stride: distance between the feet in metres; 0 stands.
      turn: 1 walks to the right, -1 to the left.
      grain: strength of the cloth's texture.
    """
    figure = _Figure(canvas, x, z, turn, grain)
    tall = outfit.height
    top = figure.surface(Label.PERSON, outfit.top)
    legs = figure.surface(Label.PERSON, outfit.trousers)
    skin = figure.surface(Label.PERSON, outfit.skin)
    hat = figure.surface(Label.PERSON, outfit.hat)
    hip, shoulder, foot = 0.48 * tall, 0.83 * tall, 0.5 * stride + 0.07
    for side in (-1, 1):
        figure.shape(
            legs,
            (side * 0.17, hip + 0.05),
            (side * 0.01, hip + 0.05),
            (side * (foot - 0.06), 0.0),
            (side * (foot + 0.11), 0.0),
        )
    hand = 0.6 * stride
    figure.shape(
        top, (-0.30, shoulder - 0.04), (-0.16, shoulder), (-0.20 - hand, hip), (-0.32 - hand, hip)
    )
    figure.shape(
        top, (0.30, shoulder - 0.04), (0.16, shoulder), (0.20 + hand, hip), (0.32 + hand, hip)
    )
    figure.shape(
        top,
        *((-0.20, hip - 0.04), (-0.24, shoulder), (-0.1, shoulder + 0.05)),
        *((0.1, shoulder + 0.05), (0.24, shoulder), (0.20, hip - 0.04)),
    )
    figure.disc(hat, -0.02, 0.935 * tall, 0.13, 0.15)
    figure.disc(skin, 0.02, 0.915 * tall, 0.11, 0.12)


def draw_cycle_across(
    canvas: Canvas,
    x: float,
    z: float,
    motor: bool,
    colours: tuple[Colour, Colour],
    rider: Outfit | None,
    turn: float,
    grain: float,
) -> None:
    """Draws a bicycle or motorcycle from its side, with or without a rider.

    Args:
      canvas: what to draw on.
      x: middle of the cycle in metres from the centre line.
      z: depth in metres.
      motor: True for a motorcycle.
      colours: of the frame and of the tyres.
      rider: who rides it, or None for a parked one.
      turn: 1 rides to the right, -1 to the left.
      grain: strength of the texture.
    """
    figure = _Figure(canvas, x, z, turn, grain)
    label = Label.MOTORCYCLE if motor else Label.BICYCLE
    frame, tyre = figure.surface(label, colours[0]), figure.surface(label, colours[1])
    spokes = figure.surface(label, tuple(0.5 * part + 0.25 for part in colours[1]))
    reach, radius = (0.72, 0.36) if motor else (0.56, 0.38)
    for side in (-1, 1):
        figure.disc(tyre, side * reach, radius, radius, radius)
        figure.disc(spokes, side * reach, radius, 0.62 * radius, 0.62 * radius)
    if motor:
        figure.shape(
            frame,
            *((-0.85, 0.75), (-0.1, 0.78), (0.1, 0.98), (0.5, 1.0), (0.62, 0.6)),
            *((0.35, 0.25), (-0.35, 0.25), (-0.6, 0.5)),
        )
        figure.shape(tyre, (-0.75, 0.78), (-0.1, 0.8), (-0.1, 0.9), (-0.7, 0.92))
        figure.shape(tyre, (0.42, 1.0), (0.75, 0.36), (0.62, 0.34), (0.3, 1.2), (0.38, 1.22))
    else:
        figure.shape(frame, (-0.62, 0.36), (-0.5, 0.42), (-0.12, 0.92), (-0.24, 0.92))
        figure.shape(frame, (-0.56, 0.44), (-0.5, 0.32), (0.05, 0.3), (0.05, 0.42))
        figure.shape(frame, (-0.05, 0.34), (0.06, 0.3), (0.46, 0.84), (0.38, 0.92))
        figure.shape(frame, (-0.22, 0.74), (0.42, 0.78), (0.42, 0.9), (-0.22, 0.86))
        figure.shape(frame, (0.34, 1.08), (0.46, 1.08), (0.62, 0.38), (0.5, 0.38))
        figure.shape(tyre, (-0.32, 0.92), (-0.02, 0.92), (-0.02, 1.0), (-0.32, 1.0))
    if rider is None:
        return
    top, legs = figure.surface(Label.RIDER, rider.top), figure.surface(Label.RIDER, rider.trousers)
    skin, hat = figure.surface(Label.RIDER, rider.skin), figure.surface(Label.RIDER, rider.hat)
    seat = 0.92 if motor else 1.0
    figure.shape(
        legs,
        (-0.3, seat),
        (-0.05, seat + 0.14),
        (0.28, 0.68),
        (0.12, 0.28),
        (-0.04, 0.3),
        (0.06, 0.64),
    )
    figure.shape(
        top,
        (-0.34, seat),
        (-0.06, seat),
        (0.28, seat + 0.52),
        (0.12, seat + 0.64),
        (-0.08, seat + 0.6),
    )
    figure.shape(
        top, (0.05, seat + 0.54), (0.22, seat + 0.44), (0.48, seat + 0.18), (0.44, seat + 0.06)
    )
    figure.disc(skin, 0.26, seat + 0.74, 0.13, 0.14)
    figure.disc(hat, 0.22, seat + 0.80, 0.16, 0.13)


def draw_cycle_along(
    canvas: Canvas,
    x: float,
    z: float,
    motor: bool,
    colours: tuple[Colour, Colour],
    rider: Outfit | None,
    grain: float,
) -> None:
    """Draws a bicycle or motorcycle from behind; the arguments are `draw_cycle_across`'s."""
    figure = _Figure(canvas, x, z, 1.0, grain)
    label = Label.MOTORCYCLE if motor else Label.BICYCLE
    frame, tyre = figure.surface(label, colours[0]), figure.surface(label, colours[1])
    wide = 0.16 if motor else 0.11
    if rider is not None:
        top = figure.surface(Label.RIDER, rider.top)
        legs = figure.surface(Label.RIDER, rider.trousers)
        skin = figure.surface(Label.RIDER, rider.skin)
        hat = figure.surface(Label.RIDER, rider.hat)
        for side in (-1, 1):
            figure.shape(
                legs,
                (side * 0.02, 1.02),
                (side * 0.2, 1.02),
                (side * 0.3, 0.3),
                (side * 0.14, 0.26),
            )
        figure.shape(
            top,
            *((-0.18, 0.92), (-0.36, 1.2), (-0.24, 1.52), (0.24, 1.52), (0.36, 1.2), (0.18, 0.92)),
        )
        figure.disc(skin, 0.0, 1.66, 0.12, 0.15)
        figure.disc(hat, 0.0, 1.71, 0.15, 0.13)
    figure.disc(tyre, 0.0, 0.37, wide, 0.37)
    if motor:
        figure.shape(frame, (-0.24, 0.4), (-0.2, 0.98), (0.2, 0.98), (0.24, 0.4))
    else:
        figure.shape(frame, (-0.09, 0.3), (-0.06, 0.98), (0.06, 0.98), (0.09, 0.3))
    handle = 1.06 if motor else 1.02
    if rider is None:
        figure.shape(
            frame, (-0.38, handle), (0.38, handle), (0.38, handle + 0.1), (-0.38, handle + 0.1)
        )
