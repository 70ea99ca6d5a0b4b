"""Cars, trucks, buses and trains: side profiles pushed out to solids."""

from __future__ import annotations

import dataclasses
import math

from labor_jax.data.street.canvas import Canvas, Face, Plane, Point, Texture
from labor_jax.data.street.classes import Label
from labor_jax.data.street.dice import Colour, Dice, scaled
from labor_jax.data.street.styles import Materials

Profile = tuple[Point, ...]


@dataclasses.dataclass(frozen=True)
class Shape:
    """A vehicle seen from its side: parts of the length from the rear, parts of the height up.

    Attributes:
      label: class.
      size: length, width and height in metres.
      profile: outline, from the rear bottom corner over the roof to the front bottom corner.
      glass: the side windows.
      panel: a part in the second colour (cargo box, stripe), or nothing.
      wheels: positions of the axles along the length.
      wheel: radius in metres.
    """

    label: Label
    size: tuple[float, float, float]
    profile: Profile
    glass: Profile
    panel: Profile
    wheels: tuple[float, ...]
    wheel: float


_SEDAN = (
    *((0, 0.16), (0, 0.6), (0.15, 0.63), (0.27, 1), (0.62, 1), (0.77, 0.63)),
    *((1, 0.55), (1, 0.16)),
)
_HATCH = (
    *((0, 0.16), (0, 0.62), (0.07, 0.97), (0.12, 1), (0.60, 1), (0.77, 0.61)),
    *((1, 0.52), (1, 0.16)),
)
_VAN = ((0, 0.15), (0, 0.62), (0.03, 1), (0.74, 1), (0.87, 0.6), (1, 0.5), (1, 0.15))
_TRUCK = ((0, 0.14), (0, 1), (0.74, 1), (0.75, 0.82), (0.96, 0.8), (1, 0.42), (1, 0.14))
_BUS = ((0, 0.1), (0, 0.55), (0.005, 1), (0.98, 1), (1, 0.5), (1, 0.1))
_TRAIN = (
    *((0, 0.08), (0, 0.5), (0.02, 0.9), (0.03, 1), (0.97, 1), (0.98, 0.9)),
    *((1, 0.5), (1, 0.08)),
)
_SEDAN_GLASS = ((0.19, 0.65), (0.29, 0.93), (0.60, 0.93), (0.73, 0.65))
_HATCH_GLASS = ((0.09, 0.65), (0.14, 0.92), (0.58, 0.92), (0.72, 0.65))
_VAN_GLASS = ((0.06, 0.62), (0.08, 0.93), (0.72, 0.93), (0.83, 0.62))
_CAB_GLASS = ((0.8, 0.55), (0.8, 0.75), (0.94, 0.75), (0.96, 0.55))
_BUS_GLASS = ((0.02, 0.48), (0.02, 0.84), (0.97, 0.84), (0.98, 0.48))
_TRAIN_GLASS = ((0.03, 0.48), (0.03, 0.8), (0.97, 0.8), (0.97, 0.48))
_CARGO = ((0, 0.22), (0, 1), (0.74, 1), (0.74, 0.22))
_STRIPE = ((0, 0.26), (0, 0.4), (1, 0.4), (1, 0.26))
_TRUCK_AXLES, _LORRY_AXLES = (0.15, 0.3, 0.86), (0.2, 0.85)

SHAPES: dict[str, tuple[Shape, ...]] = {
    "car": (
        Shape(Label.CAR, (4.4, 1.8, 1.5), _SEDAN, _SEDAN_GLASS, (), (0.2, 0.8), 0.33),
        Shape(Label.CAR, (3.9, 1.75, 1.55), _HATCH, _HATCH_GLASS, (), (0.17, 0.8), 0.32),
        Shape(Label.CAR, (4.6, 1.9, 1.8), _VAN, _VAN_GLASS, (), (0.18, 0.8), 0.36),
    ),
    "truck": (
        Shape(Label.TRUCK, (7.5, 2.5, 3.5), _TRUCK, _CAB_GLASS, _CARGO, _TRUCK_AXLES, 0.5),
        Shape(Label.TRUCK, (6.0, 2.3, 3.0), _TRUCK, _CAB_GLASS, _CARGO, _LORRY_AXLES, 0.45),
    ),
    "bus": (Shape(Label.BUS, (11.0, 2.55, 3.2), _BUS, _BUS_GLASS, (), (0.25, 0.8), 0.5),),
    "train": (Shape(Label.TRAIN, (24.0, 2.6, 3.7), _TRAIN, _TRAIN_GLASS, _STRIPE, (), 0.4),),
}
_PILLARED = (Label.BUS, Label.TRAIN)  # with a row of windows between pillars


@dataclasses.dataclass(frozen=True)
class Paint:
    """The colours of one vehicle."""

    body: Colour
    second: Colour
    glass: Colour
    tyre: Colour
    grain: float


def sample_vehicle(dice: Dice, kind: str, materials: Materials) -> tuple[Shape, Paint]:
    """Returns a shape and its colours; `kind` is a key of SHAPES."""
    body = dice.colour(getattr(materials, kind), 0.06)
    if kind == "truck":
        second, body = body, dice.colour(materials.car)
    else:
        second = tuple(0.3 * part + 0.62 for part in body)
    glass = dice.colour(((0.12, 0.15, 0.19), (0.22, 0.27, 0.32)), 0.03)
    tyre = dice.colour(materials.tyre, 0.01)
    return dice.pick(SHAPES[kind]), Paint(body, second, glass, tyre, materials.body_grain)


def _wheel(centre: Point, radius: Point) -> list[Point]:
    return [
        (centre[0] + radius[0] * math.cos(turn), centre[1] + radius[1] * math.sin(turn))
        for turn in (0.4, 1.2, 1.95, 2.75, 3.55, 4.35, 5.1, 5.9)
    ]


def draw_along(
    canvas: Canvas, shape: Shape, paint: Paint, x: float, z: float, oncoming: bool
) -> None:
    """Draws a vehicle that drives along the road, its nearest end at depth z."""
    camera = canvas.camera
    length, width, height = shape.size
    profile, glass, panel = shape.profile, shape.glass, shape.panel
    wheels = shape.wheels
    if oncoming:
        profile, glass, panel = (
            tuple((1 - part, up) for part, up in reversed(points))
            for points in (profile, glass, panel)
        )
        wheels = tuple(1 - wheel for wheel in wheels)
    lateral = x + camera.shift(z) - camera.offset
    half = math.copysign(0.5 * width, lateral)
    inner, outer = x - half, x + half

    rear = camera.facing(z)
    side = camera.along(inner, z, z + length)
    face = Face.LEFT if lateral > 0.0 else Face.RIGHT

    def flank(points: Profile, at: float = inner) -> list[Point]:
        return [camera.project(at, up * height, z + part * length) for part, up in points]

    def part_colour(part: float) -> Colour:
        in_cargo = shape.label == Label.TRUCK and (part > 0.26 if oncoming else part < 0.74)
        return paint.second if in_cargo else paint.body

    glass_rear = canvas.surface(shape.label, paint.glass, rear)
    tyre = canvas.surface(shape.label, paint.tyre, rear)

    # Towards the viewer, farthest first, so that nearer faces cover what they hide.
    near_edges, far_edges = flank(profile), flank(profile, outer)
    for k in range(len(profile) - 2, -1, -1):
        (part, up), (next_part, next_up) = profile[k], profile[k + 1]
        if next_up < up - 0.1 and not (next_part - part > 0.05):
            continue  # faces away
        flat = abs(next_up - up) < 0.1
        colour = scaled(part_colour(0.5 * (part + next_part)), 1.12 if flat else 1.0)
        surface = canvas.surface(
            shape.label, colour, camera.facing(z + part * length), Face.UP if flat else Face.FRONT
        )
        quad = [near_edges[k], near_edges[k + 1], far_edges[k + 1], far_edges[k]]
        canvas.polygon(quad, surface)
        if not flat and next_up > up and up >= 0.48 and shape.label != Label.TRUCK:
            canvas.polygon(_inset(quad, 0.12), glass_rear)
    if abs(lateral) > 0.5 * width:  # else the rear hides both flanks
        body, second, windows = _flank_surfaces(canvas, shape, paint, side, face)
        canvas.polygon(near_edges, body)
        if panel:
            canvas.polygon(flank(panel), second)
        canvas.polygon(flank(glass), windows)
        for wheel in wheels:
            radius = (shape.wheel / length, shape.wheel / height)
            canvas.polygon(flank(_wheel((wheel, shape.wheel / height), radius)), tyre)
    _draw_end(canvas, shape, paint, x, z, oncoming, tyre)


def _flank_surfaces(
    canvas: Canvas, shape: Shape, paint: Paint, plane: Plane, face: Face
) -> tuple[int, int, int]:
    """Returns the surfaces of a flank's body, panel and windows."""
    texture = Texture(paint.grain, 1.5)
    body = canvas.surface(shape.label, paint.body, plane, face, texture)
    second = canvas.surface(shape.label, paint.second, plane, face, texture)
    if shape.label in _PILLARED:
        pillars = Texture(second=paint.glass, period=(1.6, 99.0), duty=(0.86, 1.0))
        return body, second, canvas.surface(shape.label, paint.body, plane, face, pillars)
    return body, second, canvas.surface(shape.label, paint.glass, plane, face)


def _inset(quad: list[Point], margin: float) -> list[Point]:
    u = sum(point[0] for point in quad) / 4
    v = sum(point[1] for point in quad) / 4
    keep = 1.0 - margin
    return [(u + keep * (pu - u), v + keep * (pv - v)) for pu, pv in quad]


def _draw_end(
    canvas: Canvas,
    shape: Shape,
    paint: Paint,
    x: float,
    z: float,
    oncoming: bool,
    tyre: int,
) -> None:
    """Draws the tyres, lamps and plate of the end that the camera sees."""
    _, width, height = shape.size
    half = 0.5 * width
    low = shape.profile[0][1] * height
    plane = canvas.camera.facing(z)
    if shape.wheels:
        for sign in (-1, 1):
            a, b = sign * half * 0.95, sign * half * 0.55
            canvas.upright(x, z, [(a, 0), (b, 0), (b, low * 1.05), (a, low * 1.05)], tyre)
    lamp_colour = (1.0, 0.97, 0.85) if oncoming else (0.85, 0.08, 0.06)
    lamp = canvas.surface(shape.label, lamp_colour, plane, glow=0.6)
    base = 0.45 * height if height < 2.0 else 0.2 * height
    size = 0.11 * min(height, 2.0)
    for sign in (-1, 1):
        a, b = sign * half * 0.92, sign * half * 0.62
        canvas.upright(x, z, [(a, base), (b, base), (b, base + size), (a, base + size)], lamp)
    plate = canvas.surface(shape.label, (0.85, 0.85, 0.80), plane)
    foot = base - 0.6 * size
    corners = [(-0.26, foot), (0.26, foot), (0.26, foot + 0.13), (-0.26, foot + 0.13)]
    canvas.upright(x, z, corners, plate)


def draw_across(
    canvas: Canvas, shape: Shape, paint: Paint, x: float, z: float, leftwards: bool
) -> None:
    """Draws a vehicle that crosses the road at depth z, its middle at x."""
    camera = canvas.camera
    length, width, height = shape.size
    turn = -1.0 if leftwards else 1.0

    def flank(points: Profile) -> list[Point]:
        return [(turn * (part - 0.5) * length, up * height) for part, up in points]

    plane = camera.facing(z)
    end = x - 0.5 * length if x + camera.shift(z) > camera.offset else x + 0.5 * length
    end_face = Face.LEFT if end < x else Face.RIGHT
    end_surface = canvas.surface(
        shape.label, scaled(paint.body, 0.8), camera.along(end, z, z + width), end_face
    )
    low, top = shape.profile[0][1] * height, (0.55 if height < 2.0 else 0.95) * height
    canvas.solid(
        [(end, low, z), (end, top, z), (end, top, z + width), (end, low, z + width)], end_surface
    )

    body, second, windows = _flank_surfaces(canvas, shape, paint, plane, Face.FRONT)
    canvas.upright(x, z, flank(shape.profile), body)
    if shape.panel:
        canvas.upright(x, z, flank(shape.panel), second)
    canvas.upright(x, z, flank(shape.glass), windows)
    tyre = canvas.surface(shape.label, paint.tyre, plane)
    hub = canvas.surface(shape.label, (0.55, 0.55, 0.57), plane)
    for wheel in shape.wheels:
        centre = (turn * (wheel - 0.5) * length, shape.wheel)
        canvas.disc(x, z, centre, (shape.wheel, shape.wheel), tyre)
        canvas.disc(x, z, centre, (0.45 * shape.wheel, 0.45 * shape.wheel), hub)
