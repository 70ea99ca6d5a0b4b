"""What the two domains look like and what stands in their streets.

The colours are chosen to mislead across the domains, not only to differ: the camera's pavement has
the simulator's road colour, its brick buildings the simulator's walls, its buses the simulator's
trains. No global change of colour undoes that.
"""

import dataclasses

from labor_jax.data.street.canvas import Texture
from labor_jax.data.street.dice import Colour, Dice

Colours = tuple[Colour, ...]


@dataclasses.dataclass(frozen=True)
class Statistics:
    """How streets are laid out and how often things occur.

    Attributes:
      focal, height, horizon, bend: ranges of the camera's values (see `canvas.Camera`).
      lane_width: range in metres.
      lanes: the numbers of lanes to choose from.
      pavement: range of the pavement's width in metres.
      verge: probability of a strip of terrain between road and pavement, per side.
      junction: probability of a crossing street.
      frontage: weights of what stands along the street.
      storeys: range of the buildings' numbers of floors.
      closed: probability that a building ends the street.
      cars, parked, people, riders, trees, lamps, lights, signs: mean numbers in a street.
      truck, bus, train, motorcycle, bicycle: probability of at least one.
    """

    focal: tuple[float, float]
    height: tuple[float, float]
    horizon: tuple[float, float]
    bend: float
    lane_width: tuple[float, float]
    lanes: tuple[int, ...]
    pavement: tuple[float, float]
    verge: float
    junction: float
    frontage: dict[str, float]
    storeys: tuple[int, int]
    closed: float
    cars: float
    parked: float
    people: float
    riders: float
    trees: float
    lamps: float
    lights: float
    signs: float
    truck: float
    bus: float
    train: float
    motorcycle: float
    bicycle: float


@dataclasses.dataclass(frozen=True)
class Materials:
    """Colours and textures of everything; colours are reflectances in [0, 1]."""

    road: Colours
    parking: Colours
    marks: Colours
    patches: float  # mean number of repaired spots in the road
    pavement: Colours
    kerb: Colours
    building: Colours
    glass: Colours
    roof: Colours
    shop: Colours
    wall: Colours
    fence: Colours
    pole: Colours
    light_box: Colours
    sign: Colours
    sign_inner: Colours
    foliage: Colours
    trunk: Colours
    terrain: Colours
    clothes: Colours
    jersey: Colours
    trousers: Colours
    skin: Colours
    helmet: Colours
    car: Colours
    truck: Colours
    bus: Colours
    train: Colours
    motorcycle: Colours
    bicycle: Colours
    tyre: Colours
    road_texture: Texture
    pavement_texture: Texture
    building_grain: float
    wall_texture: Texture
    fence_texture: Texture
    foliage_texture: Texture
    terrain_texture: Texture
    body_grain: float
    ragged: float  # 0: trees are round balls, 1: heaps of leaves


@dataclasses.dataclass(frozen=True)
class Light:
    """One moment's light, weather and optics.

    Attributes:
      sun: colour of the direct light.
      ambient: colour of the light from everywhere.
      faces: part of the direct light that each `canvas.Face` receives.
      shadow: ground displacement (x, z) in metres of the shadow per metre of height.
      shade: part of the direct light that a shadow takes away; 0 casts none.
      sky_top, sky_low: colours of the sky overhead and at the horizon.
      clouds: strength of the clouds.
      haze: extinction in 1/metres.
      haze_colour: colour of the haze.
      wet: mirror strength of the road.
      lit_windows: part of the windows that glow.
    """

    sun: Colour
    ambient: Colour
    faces: tuple[float, float, float, float]
    shadow: tuple[float, float]
    shade: float
    sky_top: Colour
    sky_low: Colour
    clouds: float
    haze: float
    haze_colour: Colour
    wet: float
    lit_windows: float


SIMULATOR_STATISTICS = Statistics(
    focal=(0.95, 1.15),
    height=(1.6, 2.6),
    horizon=(0.42, 0.54),
    bend=0.004,
    lane_width=(3.3, 3.9),
    lanes=(2, 3, 4, 4),
    pavement=(2.2, 4.8),
    verge=0.35,
    junction=0.45,
    frontage={"building": 0.42, "wall": 0.18, "fence": 0.18, "park": 0.17, "open": 0.08},
    storeys=(2, 9),
    closed=0.25,
    cars=3.0,
    parked=1.5,
    people=3.0,
    riders=0.65,
    trees=2.5,
    lamps=2.5,
    lights=1.6,
    signs=1.8,
    truck=0.45,
    bus=0.35,
    train=0.28,
    motorcycle=0.4,
    bicycle=0.3,
)

CAMERA_STATISTICS = Statistics(
    focal=(1.05, 1.35),
    height=(1.25, 2.0),
    horizon=(0.38, 0.50),
    bend=0.008,
    lane_width=(2.8, 3.4),
    lanes=(2, 2, 2, 3),
    pavement=(2.4, 5.5),
    verge=0.3,
    junction=0.35,
    frontage={"building": 0.46, "wall": 0.21, "fence": 0.20, "park": 0.13, "open": 0.05},
    storeys=(3, 6),
    closed=0.4,
    cars=2.2,
    parked=3.0,
    people=4.5,
    riders=0.9,
    trees=3.5,
    lamps=2.5,
    lights=1.3,
    signs=1.8,
    truck=0.38,
    bus=0.35,
    train=0.3,
    motorcycle=0.3,
    bicycle=0.4,
)

SIMULATOR_MATERIALS = Materials(
    road=((0.55, 0.55, 0.57), (0.60, 0.60, 0.61), (0.47, 0.47, 0.49)),
    parking=((0.50, 0.50, 0.53),),
    marks=((0.97, 0.97, 0.97),),
    patches=0.0,
    pavement=((0.80, 0.71, 0.60), (0.82, 0.68, 0.62)),
    kerb=((0.90, 0.86, 0.80),),
    building=(
        (0.92, 0.84, 0.62),
        (0.62, 0.74, 0.86),
        (0.66, 0.82, 0.70),
        (0.88, 0.70, 0.66),
        (0.68, 0.46, 0.38),
        (0.70, 0.69, 0.68),
    ),
    glass=((0.30, 0.48, 0.72), (0.25, 0.40, 0.62)),
    roof=((0.72, 0.32, 0.22), (0.35, 0.38, 0.48)),
    shop=((0.70, 0.45, 0.55), (0.40, 0.55, 0.60)),
    wall=((0.64, 0.30, 0.24), (0.58, 0.33, 0.25)),
    fence=((0.52, 0.33, 0.15), (0.58, 0.38, 0.20)),
    pole=((0.78, 0.78, 0.76), (0.68, 0.70, 0.72), (0.46, 0.48, 0.49)),
    light_box=((0.92, 0.74, 0.10), (0.92, 0.74, 0.10), (0.16, 0.16, 0.17)),
    sign=((0.88, 0.10, 0.12), (0.10, 0.28, 0.82), (0.96, 0.82, 0.16)),
    sign_inner=((0.97, 0.97, 0.97),),
    foliage=((0.22, 0.62, 0.18), (0.28, 0.68, 0.24), (0.20, 0.44, 0.16)),
    trunk=((0.45, 0.28, 0.14),),
    terrain=((0.62, 0.74, 0.28), (0.70, 0.76, 0.34), (0.50, 0.62, 0.26)),
    clothes=(
        (0.90, 0.25, 0.25),
        (0.95, 0.80, 0.20),
        (0.25, 0.75, 0.85),
        (0.85, 0.35, 0.75),
        (0.24, 0.24, 0.30),
    ),
    jersey=((0.96, 0.55, 0.14), (0.56, 0.26, 0.76)),
    trousers=((0.20, 0.30, 0.65), (0.60, 0.50, 0.35), (0.16, 0.16, 0.20)),
    skin=((0.94, 0.76, 0.62), (0.62, 0.42, 0.30)),
    helmet=((0.98, 0.55, 0.10), (0.95, 0.95, 0.95)),
    car=(
        (0.85, 0.12, 0.12),
        (0.12, 0.30, 0.85),
        (0.15, 0.60, 0.30),
        (0.90, 0.90, 0.92),
        (0.60, 0.61, 0.64),
        (0.14, 0.14, 0.16),
    ),
    truck=((0.95, 0.55, 0.12), (0.30, 0.40, 0.80), (0.86, 0.86, 0.86)),
    bus=((0.96, 0.80, 0.10), (0.90, 0.45, 0.12)),
    train=((0.80, 0.14, 0.14), (0.86, 0.84, 0.74)),
    motorcycle=((0.10, 0.55, 0.85), (0.60, 0.85, 0.15), (0.18, 0.18, 0.20)),
    bicycle=((0.10, 0.75, 0.75), (0.85, 0.20, 0.60), (0.22, 0.22, 0.24)),
    tyre=((0.12, 0.12, 0.14),),
    road_texture=Texture(grain=0.03, scale=3.0),
    pavement_texture=Texture(
        grain=0.02, second=(0.86, 0.76, 0.66), period=(1.0, 1.0), duty=(0.9, 0.9)
    ),
    building_grain=0.01,
    wall_texture=Texture(
        grain=0.03, second=(0.74, 0.40, 0.32), period=(0.8, 0.4), duty=(0.88, 0.80)
    ),
    fence_texture=Texture(
        grain=0.02, second=(0.70, 0.48, 0.26), period=(0.5, 9.0), duty=(0.65, 1.0)
    ),
    foliage_texture=Texture(grain=0.10, scale=2.0),
    terrain_texture=Texture(grain=0.08, scale=1.5),
    body_grain=0.0,
    ragged=0.0,
)

CAMERA_MATERIALS = Materials(
    road=((0.31, 0.31, 0.33), (0.37, 0.36, 0.36), (0.27, 0.28, 0.31)),
    parking=((0.40, 0.38, 0.37), (0.29, 0.29, 0.30)),
    marks=((0.72, 0.72, 0.70), (0.62, 0.60, 0.54)),
    patches=4.5,
    pavement=((0.55, 0.55, 0.56), (0.50, 0.49, 0.48), (0.58, 0.53, 0.50)),
    kerb=((0.66, 0.66, 0.65), (0.44, 0.43, 0.42)),
    building=(
        *((0.56, 0.31, 0.24), (0.50, 0.35, 0.27), (0.58, 0.57, 0.55), (0.72, 0.66, 0.56)),
        *((0.44, 0.42, 0.40), (0.66, 0.52, 0.36), (0.36, 0.30, 0.28)),
    ),
    glass=((0.13, 0.15, 0.18), (0.20, 0.22, 0.24), (0.45, 0.50, 0.54)),
    roof=((0.30, 0.26, 0.25), (0.42, 0.25, 0.20), (0.25, 0.27, 0.30)),
    shop=((0.18, 0.18, 0.20), (0.42, 0.14, 0.12), (0.16, 0.26, 0.22), (0.75, 0.70, 0.60)),
    wall=((0.74, 0.71, 0.66), (0.62, 0.62, 0.58), (0.80, 0.74, 0.60)),
    fence=((0.14, 0.30, 0.18), (0.20, 0.26, 0.20), (0.34, 0.38, 0.42)),
    pole=((0.16, 0.18, 0.18), (0.24, 0.26, 0.24), (0.32, 0.26, 0.20), (0.44, 0.45, 0.45)),
    light_box=((0.06, 0.06, 0.07), (0.10, 0.12, 0.11)),
    sign=((0.92, 0.76, 0.12), (0.90, 0.90, 0.88), (0.12, 0.42, 0.30), (0.62, 0.64, 0.66)),
    sign_inner=((0.08, 0.08, 0.08), (0.75, 0.14, 0.10)),
    foliage=((0.20, 0.27, 0.10), (0.15, 0.21, 0.11), (0.34, 0.33, 0.12), (0.48, 0.34, 0.10)),
    trunk=((0.22, 0.18, 0.14), (0.34, 0.30, 0.26)),
    terrain=((0.30, 0.42, 0.16), (0.42, 0.36, 0.22), (0.36, 0.40, 0.20), (0.45, 0.32, 0.20)),
    clothes=(
        (0.12, 0.13, 0.18),
        (0.28, 0.22, 0.20),
        (0.48, 0.48, 0.50),
        (0.50, 0.16, 0.15),
        (0.62, 0.56, 0.46),
    ),
    jersey=((0.70, 0.78, 0.22), (0.16, 0.30, 0.54), (0.14, 0.14, 0.16)),
    trousers=((0.10, 0.12, 0.20), (0.08, 0.08, 0.09), (0.34, 0.30, 0.26)),
    skin=((0.80, 0.60, 0.48), (0.45, 0.30, 0.22)),
    helmet=((0.16, 0.16, 0.18), (0.75, 0.75, 0.74), (0.40, 0.18, 0.14)),
    car=(
        *((0.07, 0.07, 0.08), (0.62, 0.63, 0.65), (0.88, 0.88, 0.87), (0.34, 0.35, 0.37)),
        *((0.08, 0.12, 0.26), (0.36, 0.08, 0.09), (0.46, 0.42, 0.34)),
    ),
    truck=((0.86, 0.86, 0.84), (0.50, 0.54, 0.52), (0.60, 0.58, 0.30)),
    bus=((0.74, 0.15, 0.13), (0.68, 0.20, 0.15)),
    train=((0.88, 0.74, 0.18), (0.84, 0.78, 0.55)),
    motorcycle=((0.10, 0.10, 0.11), (0.50, 0.10, 0.09)),
    bicycle=((0.12, 0.12, 0.13), (0.40, 0.42, 0.44), (0.16, 0.24, 0.18)),
    tyre=((0.05, 0.05, 0.05),),
    road_texture=Texture(grain=0.24, scale=2.5),
    pavement_texture=Texture(
        grain=0.20, scale=1.2, second=(0.60, 0.60, 0.60), period=(0.6, 0.9), duty=(0.86, 0.88)
    ),
    building_grain=0.16,
    wall_texture=Texture(grain=0.28, scale=0.8),
    fence_texture=Texture(
        grain=0.15, second=(0.30, 0.36, 0.28), period=(2.2, 0.7), duty=(0.92, 0.55)
    ),
    foliage_texture=Texture(grain=0.75, scale=3.5),
    terrain_texture=Texture(grain=0.40, scale=1.2),
    body_grain=0.10,
    ragged=1.0,
)


def simulator_light(dice: Dice) -> Light:
    """Returns the simulator's only weather: a cloudless noon without shadows."""
    level = dice.uniform(0.86, 1.06)
    pale = dice.uniform(0.0, 0.7)
    return Light(
        sun=(0.40 * level, 0.40 * level, 0.38 * level),
        ambient=(0.62 * level, 0.62 * level, 0.64 * level),
        faces=(0.85, 0.65, 0.75, 1.0),
        shadow=(0.0, 0.0),
        shade=0.0,
        sky_top=(0.30 + 0.36 * pale, 0.56 + 0.2 * pale, 0.95 - 0.06 * pale),
        sky_low=(0.66 + 0.18 * pale, 0.84 + 0.04 * pale, 1.0 - 0.06 * pale),
        clouds=0.0,
        haze=0.0008,
        haze_colour=(0.70, 0.84, 0.98),
        wet=0.0,
        lit_windows=0.0,
    )


def _sunny(dice: Dice) -> Light:
    left = dice.chance(0.5)
    reach = dice.uniform(0.5, 1.6)
    low = dice.uniform(0.0, 1.0)  # 1: late sun, warm
    lateral, depth = (1.0 if left else -1.0) * reach, dice.uniform(-0.7, 0.7)
    blue = dice.uniform(0.0, 1.0)
    return Light(
        sun=(1.00, 0.93 - 0.12 * low, 0.84 - 0.27 * low),
        ambient=(0.46, 0.49, 0.56),
        faces=(0.55 + 0.4 * depth, 0.95 if left else 0.1, 0.1 if left else 0.95, 0.85),
        shadow=(lateral, depth),
        shade=0.9,
        sky_top=(0.42 + 0.1 * blue, 0.58 + 0.06 * blue, 0.82),
        sky_low=(0.86, 0.88 - 0.05 * low, 0.90 - 0.15 * low),
        clouds=dice.uniform(0.1, 0.7),
        haze=dice.uniform(0.002, 0.006),
        haze_colour=(0.80, 0.80 - 0.05 * low, 0.82 - 0.15 * low),
        wet=0.0,
        lit_windows=0.0,
    )


def _overcast(dice: Dice) -> Light:
    sky = dice.uniform(0.74, 0.95)
    tint = dice.uniform(-0.02, 0.03)
    level = dice.uniform(0.85, 1.1)
    return Light(
        sun=(0.25 * level, 0.25 * level, 0.26 * level),
        ambient=(0.76 * level, 0.77 * level, (0.80 + tint) * level),
        faces=(0.5, 0.4, 0.4, 1.0),
        shadow=(0.12, 0.05),
        shade=0.7,
        sky_top=(sky - 0.10, sky - 0.09, sky - 0.07 + tint),
        sky_low=(sky, sky, sky + tint),
        clouds=dice.uniform(0.2, 0.6),
        haze=dice.uniform(0.005, 0.014),
        haze_colour=(sky - 0.04, sky - 0.03, sky - 0.02),
        wet=dice.uniform(0.1, 0.45) if dice.chance(0.5) else 0.0,
        lit_windows=0.05,
    )


def _dusk(dice: Dice) -> Light:
    warm = dice.uniform(0.0, 1.0)
    level = dice.uniform(0.9, 1.2)
    return Light(
        sun=(0.32 * level, 0.20 * level, 0.10 * level),
        ambient=(0.60 * level, 0.54 * level, 0.62 * level),
        faces=(0.3, 0.9, 0.3, 0.5),
        shadow=(0.15, 0.05),
        shade=0.6,
        sky_top=(0.36 + 0.1 * warm, 0.36, 0.52),
        sky_low=(0.82 + 0.1 * warm, 0.60 + 0.05 * warm, 0.52 - 0.1 * warm),
        clouds=dice.uniform(0.2, 0.7),
        haze=dice.uniform(0.004, 0.010),
        haze_colour=(0.58 + 0.1 * warm, 0.50, 0.50),
        wet=dice.uniform(0.0, 0.35),
        lit_windows=0.3,
    )


def camera_light(dice: Dice) -> Light:
    """Returns a light of one of three weathers: sun with shadows, overcast, or dusk."""
    weather = dice.weighted({"sunny": 0.44, "overcast": 0.43, "dusk": 0.13})
    return {"sunny": _sunny, "overcast": _overcast, "dusk": _dusk}[weather](dice)
