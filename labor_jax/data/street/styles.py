"""How the two domains look, and what stands in their streets.

Some colours mislead across the domains: the camera's pavement has one of the simulator's road
colours, its brick buildings the simulator's walls, its buses the simulator's trains. No global
change of colour undoes that. But whoever built the simulator had seen a street: most of its things
also come in the camera's colours, though never with the camera's textures or in its light.
"""

import dataclasses

from labor_jax.data.street.canvas import Texture
from labor_jax.data.street.dice import Colour

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

_OWN_SIMULATOR_MATERIALS = Materials(
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

_ONLY_OWN = ("wall", "bus", "train")

SIMULATOR_MATERIALS = dataclasses.replace(
    _OWN_SIMULATOR_MATERIALS,
    **{
        field.name: getattr(_OWN_SIMULATOR_MATERIALS, field.name)
        + getattr(CAMERA_MATERIALS, field.name)
        for field in dataclasses.fields(Materials)
        if field.type == Colours and field.name not in _ONLY_OWN
    },
)
