"""Draws what stands beside the road: buildings, walls, fences, trees, poles, lights and signs."""

from __future__ import annotations

from labor_jax.data.street.canvas import Canvas, Face, Point, Texture
from labor_jax.data.street.classes import Label
from labor_jax.data.street.dice import Dice, scaled
from labor_jax.data.street.light import Light
from labor_jax.data.street.styles import Materials

_DARK = (0.04, 0.04, 0.05)


def _quad(x: float, low: float, high: float, near: float, far: float) -> list:
    return [(x, low, near), (x, high, near), (x, high, far), (x, low, far)]


def draw_building(
    canvas: Canvas,
    dice: Dice,
    materials: Materials,
    x: float,
    depth: tuple[float, float],
    storeys: tuple[int, int],
) -> float:
    """Draws a building along the street whose front wall is at x, and returns its height.

    The wall along the street and the gable towards the camera are drawn, with rows of windows, a
    ground floor of another colour at times, and a roof.
    """
    camera = canvas.camera
    near, far = depth
    sign = 1.0 if x > 0.0 else -1.0
    face = Face.LEFT if sign > 0 else Face.RIGHT
    storey = dice.uniform(2.8, 3.8)
    height = storey * dice.integer(*storeys)
    body = dice.colour(materials.building, 0.05)
    texture = Texture(
        grain=materials.building_grain,
        scale=0.7,
        second=dice.colour(materials.glass, 0.03),
        period=(dice.uniform(2.2, 4.0), storey),
        duty=(dice.uniform(0.35, 0.65), dice.uniform(0.4, 0.62)),
        variety=dice.uniform(0.2, 0.8) if materials.building_grain > 0.05 else 0.0,
    )
    wall = canvas.surface(Label.BUILDING, body, camera.along(x, near, far), face, texture)
    gable = canvas.surface(Label.BUILDING, scaled(body, 0.94), camera.facing(near), 0, texture)
    outward = x + sign * dice.uniform(9.0, 16.0)
    canvas.solid(
        [(x, 0, near), (x, height, near), (outward, height, near), (outward, 0, near)], gable
    )
    if dice.chance(0.55):
        roof = canvas.surface(
            Label.BUILDING,
            dice.colour(materials.roof),
            camera.along(x, near, far),
            Face.UP,
            Texture(materials.building_grain, 1.5),
        )
        ridge, rise = x + sign * 4.5, height + dice.uniform(1.5, 3.5)
        canvas.solid(
            [(x, height, near), (ridge, rise, near), (ridge, rise, far), (x, height, far)], roof
        )
        canvas.solid([(x, height, near), (ridge, rise, near), (outward, height, near)], gable)
    canvas.solid(_quad(x, 0.0, height, near, far), wall)
    if dice.chance(0.6):
        shop = canvas.surface(
            Label.BUILDING,
            dice.colour(materials.shop),
            camera.along(x, near, far),
            face,
            Texture(
                grain=materials.building_grain,
                second=dice.colour(materials.glass, 0.04),
                period=(dice.uniform(3.0, 6.0), 3.4),
                duty=(0.7, 0.75),
                variety=0.4,
            ),
        )
        canvas.solid(_quad(x, 0.0, min(3.3, height), near, far), shop)
    return height


def draw_end_building(
    canvas: Canvas, dice: Dice, materials: Materials, z: float, span: tuple[float, float]
) -> None:
    """Draws a building across the end of the street."""
    body = dice.colour(materials.building, 0.05)
    texture = Texture(
        grain=materials.building_grain,
        scale=0.5,
        second=dice.colour(materials.glass, 0.03),
        period=(dice.uniform(3.0, 5.0), 3.6),
        duty=(0.5, 0.5),
    )
    wall = canvas.surface(Label.BUILDING, body, canvas.camera.facing(z), texture=texture)
    height = dice.uniform(8.0, 24.0)
    left, right = span
    canvas.solid([(left, 0, z), (left, height, z), (right, height, z), (right, 0, z)], wall)


def draw_barrier(
    canvas: Canvas,
    dice: Dice,
    materials: Materials,
    label: int,
    x: float,
    depth: tuple[float, float],
) -> float:
    """Draws a wall or a fence (by its label) along the street at x, and returns its height."""
    near, far = depth
    face = Face.LEFT if x > 0.0 else Face.RIGHT
    if label == Label.WALL:
        colours, texture, height = materials.wall, materials.wall_texture, dice.uniform(1.8, 3.4)
    else:
        colours, texture, height = materials.fence, materials.fence_texture, dice.uniform(1.3, 2.2)
    colour = dice.colour(colours, 0.04)
    plane = canvas.camera.along(x, near, far)
    canvas.solid(
        _quad(x, 0.0, height, near, far), canvas.surface(label, colour, plane, face, texture)
    )
    rail = canvas.surface(label, scaled(colour, 0.8), plane, face)
    canvas.solid(_quad(x, height - 0.12, height, near, far), rail)
    return height


def draw_hedge(
    canvas: Canvas, dice: Dice, materials: Materials, x: float, depth: tuple[float, float]
) -> float:
    """Draws a hedge along the street at x, and returns its height."""
    near, far = depth
    height = dice.uniform(0.8, 2.4)
    plane = canvas.camera.along(x, near, far)
    face = Face.LEFT if x > 0.0 else Face.RIGHT
    leaves = canvas.surface(
        Label.VEGETATION, dice.colour(materials.foliage), plane, face, materials.foliage_texture
    )
    middle = 0.5 * (near + far)
    canvas.solid(
        [
            *((x, 0, near), (x, height * dice.uniform(0.85, 1.1), near)),
            *((x, height * dice.uniform(0.9, 1.2), middle), (x, height, far), (x, 0, far)),
        ],
        leaves,
    )
    return height


def draw_tree(
    canvas: Canvas, dice: Dice, materials: Materials, x: float, z: float, height: float
) -> None:
    """Draws a tree of the given height; its trunk is vegetation too."""
    plane = canvas.camera.facing(z)
    trunk = canvas.surface(Label.VEGETATION, dice.colour(materials.trunk), plane)
    thick = 0.1 + 0.015 * height
    canvas.upright(
        x,
        z,
        [(-thick, 0), (-0.7 * thick, 0.6 * height), (0.7 * thick, 0.6 * height), (thick, 0)],
        trunk,
    )
    colour = dice.colour(materials.foliage, 0.05)
    radius = dice.uniform(0.26, 0.36) * height
    middle = height - radius
    if materials.ragged < 0.5:
        leaves = canvas.surface(Label.VEGETATION, colour, plane, texture=materials.foliage_texture)
        if dice.chance(0.3):
            canvas.upright(
                x,
                z,
                [(-0.8 * radius, 0.22 * height), (0, height), (0.8 * radius, 0.22 * height)],
                leaves,
            )
        else:
            canvas.disc(x, z, (0.0, middle), (radius, radius), leaves)
        return
    tones = [
        canvas.surface(
            Label.VEGETATION, scaled(colour, gain), plane, texture=materials.foliage_texture
        )
        for gain in (0.75, 0.95, 1.15)
    ]
    heaps = 9 if z < 30.0 else 5
    for k in range(heaps):
        part = radius * dice.uniform(0.35, 0.62)
        centre = (dice.uniform(-0.75, 0.75) * radius, middle + dice.uniform(-0.75, 0.6) * radius)
        canvas.disc(x, z, centre, (part, part * dice.uniform(0.7, 1.0)), tones[3 * k // heaps])


def draw_bush(canvas: Canvas, dice: Dice, materials: Materials, x: float, z: float) -> None:
    """Draws a bush."""
    plane = canvas.camera.facing(z)
    leaves = canvas.surface(
        Label.VEGETATION, dice.colour(materials.foliage), plane, texture=materials.foliage_texture
    )
    size = dice.uniform(0.5, 1.1)
    canvas.disc(x, z, (0.0, 0.7 * size), (1.2 * size, 0.75 * size), leaves)
    canvas.disc(x, z, (0.7 * size, 0.5 * size), (0.8 * size, 0.55 * size), leaves)


def _draw_pole(
    canvas: Canvas, materials: Materials, dice: Dice, x: float, z: float, height: float, half: float
) -> int:
    pole = canvas.surface(
        Label.POLE, dice.colour(materials.pole), canvas.camera.facing(z), texture=Texture(0.05)
    )
    canvas.upright(
        x, z, [(-half, 0), (-0.85 * half, height), (0.85 * half, height), (half, 0)], pole
    )
    return pole


def draw_lamp(
    canvas: Canvas, dice: Dice, materials: Materials, light: Light, x: float, z: float
) -> None:
    """Draws a street lamp whose arm reaches over the road."""
    height = dice.uniform(5.0, 8.5)
    half = dice.uniform(0.13, 0.18)
    pole = _draw_pole(canvas, materials, dice, x, z, height, half)
    canvas.upright(
        x, z, [(-1.4 * half, 0), (-1.4 * half, 0.9), (1.4 * half, 0.9), (1.4 * half, 0)], pole
    )
    arm = (-1.0 if x > 0.0 else 1.0) * dice.uniform(0.8, 2.2)
    canvas.upright(
        x, z, [(0, height - 0.22), (0, height), (arm, height + 0.25), (arm, height + 0.03)], pole
    )
    head = canvas.surface(
        Label.POLE,
        (0.92, 0.88, 0.7),
        canvas.camera.facing(z),
        glow=1.0 if light.lit_windows > 0.2 else 0.0,
    )
    canvas.upright(
        x,
        z,
        [(arm, height), (arm, height + 0.3), (1.5 * arm, height + 0.3), (1.5 * arm, height)],
        head,
    )


def _draw_light_box(
    canvas: Canvas, dice: Dice, materials: Materials, x: float, z: float, at: Point
) -> None:
    plane = canvas.camera.facing(z)
    box = canvas.surface(Label.TRAFFIC_LIGHT, dice.colour(materials.light_box, 0.03), plane)
    (dx, low), half, tall = at, 0.36, 1.55
    canvas.upright(
        x,
        z,
        [(dx - half, low), (dx - half, low + tall), (dx + half, low + tall), (dx + half, low)],
        box,
    )
    lit = dice.pick((0, 0, 1, 2))
    for k, colour in enumerate(((0.1, 0.95, 0.55), (1.0, 0.75, 0.1), (1.0, 0.12, 0.08))):
        lamp = canvas.surface(
            Label.TRAFFIC_LIGHT,
            colour if k == lit else _DARK,
            plane,
            glow=1.0 if k == lit else 0.0,
        )
        canvas.disc(x, z, (dx, low + (k + 0.5) * tall / 3), (0.2, 0.2), lamp)


def draw_traffic_light(
    canvas: Canvas, dice: Dice, materials: Materials, x: float, z: float
) -> None:
    """Draws traffic lights on a pole, at times with a second one on an arm over the road."""
    half = dice.uniform(0.12, 0.16)
    if dice.chance(0.4):
        pole = _draw_pole(canvas, materials, dice, x, z, 5.6, half)
        arm = (-1.0 if x > 0.0 else 1.0) * dice.uniform(2.0, 4.0)
        canvas.upright(x, z, [(0, 5.35), (0, 5.6), (arm, 5.65), (arm, 5.42)], pole)
        _draw_light_box(canvas, dice, materials, x, z, (arm, 4.2))
    else:
        _draw_pole(canvas, materials, dice, x, z, 3.4, half)
    _draw_light_box(canvas, dice, materials, x, z, (0.0, 2.3))


def draw_sign(canvas: Canvas, dice: Dice, materials: Materials, x: float, z: float) -> None:
    """Draws a traffic sign on its pole: a disc, triangle, diamond, or a board."""
    plane = canvas.camera.facing(z)
    colour = dice.colour(materials.sign)
    inner_colour = dice.colour(materials.sign_inner)
    if sum(colour) > 2.2:  # pale signs bear dark symbols
        inner_colour = scaled(inner_colour, 0.3)
    outer = canvas.surface(Label.TRAFFIC_SIGN, colour, plane)
    inner = canvas.surface(Label.TRAFFIC_SIGN, inner_colour, plane)
    form = dice.weighted({"disc": 0.3, "triangle": 0.2, "diamond": 0.15, "board": 0.35})
    size, at = dice.uniform(0.5, 0.68), dice.uniform(2.3, 3.0)
    _draw_pole(canvas, materials, dice, x, z, at, dice.uniform(0.11, 0.15))
    if form == "disc":
        canvas.disc(x, z, (0.0, at), (size, size), outer)
        canvas.disc(x, z, (0.0, at), (0.6 * size, 0.6 * size), inner)
        return
    corners = {
        "triangle": ((-1.1, -0.7), (0.0, 1.15), (1.1, -0.7)),
        "diamond": ((-1.1, 0.0), (0.0, 1.1), (1.1, 0.0), (0.0, -1.1)),
        "board": ((-1.6, -0.8), (-1.6, 0.9), (1.6, 0.9), (1.6, -0.8)),
    }[form]
    for surface, scale in ((outer, size), (inner, 0.5 * size)):
        canvas.upright(x, z, [(scale * dx, at + scale * dy) for dx, dy in corners], surface)


def draw_skyline(canvas: Canvas, dice: Dice, materials: Materials) -> None:
    """Draws distant trees and buildings along the horizon."""
    horizon, u = canvas.camera.horizon, 0.0
    plane = (1.0 / 160.0, 0.0, 0.0)
    while u < 2.0:
        wide, high = dice.uniform(0.08, 0.4), dice.uniform(0.01, 0.06)
        if dice.chance(0.6):
            leaves = canvas.surface(
                Label.VEGETATION,
                dice.colour(materials.foliage),
                plane,
                texture=materials.foliage_texture,
            )
            canvas.polygon(
                [
                    *(
                        (u, horizon + 0.012),
                        (u, horizon - high),
                        (u + 0.5 * wide, horizon - 1.3 * high),
                    ),
                    *((u + wide, horizon - 0.8 * high), (u + wide, horizon + 0.012)),
                ],
                leaves,
            )
        else:
            wall = canvas.surface(Label.BUILDING, dice.colour(materials.building), plane)
            top = horizon - 1.5 * high
            canvas.polygon(
                [(u, horizon + 0.012), (u, top), (u + wide, top), (u + wide, horizon + 0.012)], wall
            )
        u += wide
