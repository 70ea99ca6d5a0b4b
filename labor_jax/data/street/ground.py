"""The street's plan and the ground it paints: road, marks, kerbs, pavements and terrain."""

from __future__ import annotations

import dataclasses

import numpy as np

from labor_jax.data.street.canvas import Camera, Canvas, Face, Texture
from labor_jax.data.street.classes import Label
from labor_jax.data.street.dice import Dice
from labor_jax.data.street.light import Light
from labor_jax.data.street.styles import Materials, Statistics

_KERB = 0.22
_OVERLAP = 0.5  # of the pavement under what stands along it, so that no gap shows at its foot
_MARK = 0.09  # half the width of a lane mark


@dataclasses.dataclass(frozen=True)
class Lane:
    """One lane: its centre, whether its traffic comes towards the camera, and its kind."""

    centre: float
    oncoming: bool
    tram: bool


@dataclasses.dataclass(frozen=True)
class Street:
    """A street's plan in metres from the road's centre line.

    Attributes:
      lanes: from left to right.
      lane_width: of each lane.
      edges: x of the road's left and right edge, parking strips included.
      parking: widths of the parking strips (left, right), 0 without one.
      verges: widths of the strips of terrain beside the road.
      pavements: outer edges of the pavements: |x| on the left and on the right.
      junction: depths at which a crossing street begins and ends, or None.
      zebra: depth at which a pedestrian crossing begins, or None.
      end: depth at which the street ends.
    """

    lanes: tuple[Lane, ...]
    lane_width: float
    edges: tuple[float, float]
    parking: tuple[float, float]
    verges: tuple[float, float]
    pavements: tuple[float, float]
    junction: tuple[float, float] | None
    zebra: float | None
    end: float

    def in_junction(self, z: float, margin: float = 0.0) -> bool:
        """Returns whether depth z is in the crossing street."""
        return self.junction is not None and (
            self.junction[0] - margin < z < self.junction[1] + margin
        )


def sample_street(dice: Dice, statistics: Statistics, tram: bool) -> tuple[Street, Camera]:
    """Returns a street and a camera in one of its lanes."""
    width = dice.uniform(*statistics.lane_width)
    count = max(dice.pick(statistics.lanes), 3 if tram else 1)
    oncoming = count // 2
    # The tram has the outermost lane of either side; the camera has an inner one.
    tram_lane = (0 if dice.chance(0.55) else count - 1) if tram else -1
    lanes = tuple(
        Lane((k + 0.5) * width - 0.5 * count * width, k < oncoming, k == tram_lane)
        for k in range(count)
    )
    parking = tuple(2.2 if dice.chance(0.5) else 0.0 for _ in range(2))
    half = 0.5 * count * width
    edges = (-half - parking[0], half + parking[1])
    verges = tuple(
        dice.uniform(0.8, 2.2) if dice.chance(statistics.verge) else 0.0 for _ in range(2)
    )
    pavements = tuple(
        abs(edges[k]) + verges[k] + dice.uniform(*statistics.pavement) for k in range(2)
    )
    junction = None
    if dice.chance(statistics.junction):
        begin = dice.uniform(9.0, 32.0)
        junction = (begin, begin + dice.uniform(7.0, 14.0))
    zebra = None
    if dice.chance(0.4):
        zebra = junction[0] - 4.5 if junction else dice.uniform(6.0, 18.0)
    own = [lane for lane in lanes if not lane.oncoming and not lane.tram] or [lanes[0]]
    street = Street(
        lanes=lanes,
        lane_width=width,
        edges=edges,
        parking=parking,
        verges=verges,
        pavements=pavements,
        junction=junction,
        zebra=zebra,
        end=dice.uniform(45.0, 110.0),
    )
    camera = Camera(
        focal=dice.uniform(*statistics.focal),
        height=dice.uniform(*statistics.height),
        horizon=dice.uniform(*statistics.horizon),
        centre=dice.uniform(0.75, 1.25),
        offset=dice.pick(own).centre + dice.uniform(-0.4, 0.4),
        bend=dice.uniform(-1.0, 1.0) * statistics.bend,
    )
    return street, camera


def paint_ground(
    canvas: Canvas, street: Street, materials: Materials, light: Light, dice: Dice
) -> None:
    """Paints the sky above the horizon and the ground under it, surface by surface."""
    camera = canvas.camera
    plane = camera.ground()
    u, v = canvas.grid()
    ids = np.zeros(canvas.size, np.int32)
    sky = canvas.surface(Label.SKY, light.sky_top, (0.0, 0.0, 0.0), glow=1.0)
    ids[:] = sky

    def flat(label: int, colours, texture: Texture, spread: float = 0.03) -> int:
        return canvas.surface(label, dice.colour(colours, spread), plane, Face.UP, texture)

    road = flat(Label.ROAD, materials.road, materials.road_texture)
    parking = flat(Label.ROAD, materials.parking, materials.road_texture)
    mark = flat(Label.ROAD, materials.marks, materials.road_texture)
    rail = flat(Label.ROAD, ((0.30, 0.24, 0.22),), Texture())
    pavement = flat(Label.SIDEWALK, materials.pavement, materials.pavement_texture)
    kerb = flat(Label.SIDEWALK, materials.kerb, Texture())
    terrain = flat(Label.TERRAIN, materials.terrain, materials.terrain_texture)
    patches = [
        (
            flat(Label.ROAD, materials.road, materials.road_texture, 0.10),
            *(dice.uniform(*street.edges), dice.uniform(3.0, 25.0)),
            *(dice.uniform(0.3, 2.0), dice.uniform(0.6, 7.0)),
        )
        for _ in range(dice.count(materials.patches))
    ]
    dash_period, dash_phase = dice.uniform(4.0, 9.0), dice.unit()
    edge_lines = dice.chance(0.5)

    first = int(np.searchsorted(v[:, 0], camera.horizon + 0.004))
    below = ids[first:]
    z = camera.focal * camera.height / (v[first:] - camera.horizon)
    x = (u - camera.centre) * (z / camera.focal) + (camera.offset - camera.shift(z))

    below[:] = terrain
    left, right = street.edges
    outer_left, outer_right = street.pavements
    below[(x > -outer_left - _OVERLAP) & (x < outer_right + _OVERLAP)] = pavement
    for edge, verge, sign in ((left, street.verges[0], -1.0), (right, street.verges[1], 1.0)):
        if verge:
            away = sign * (x - edge)
            below[(away > _KERB) & (away < _KERB + verge)] = terrain
    below[(x > left - _KERB) & (x < right + _KERB)] = kerb
    on_road = (x > left) & (x < right)
    below[on_road] = road
    if street.parking[0]:
        below[(x > left) & (x < left + street.parking[0])] = parking
    if street.parking[1]:
        below[(x > right - street.parking[1]) & (x < right)] = parking

    marked = np.zeros(below.shape, bool)
    for k in range(1, len(street.lanes)):
        border = street.lanes[k].centre - 0.5 * street.lane_width
        near = np.abs(x - border) < _MARK
        turns = street.lanes[k].oncoming != street.lanes[k - 1].oncoming
        if not (turns and edge_lines):
            near = near & ((z / dash_period + dash_phase) % 1.0 < 0.5)
        marked |= near
    if edge_lines:
        marked |= np.abs(x - left - street.parking[0] - 0.25) < _MARK
        marked |= np.abs(x - right + street.parking[1] + 0.25) < _MARK

    if street.junction is not None:
        begin, end = street.junction
        crossing = ((z > begin) & (z < end))[:, 0]
        corner = ((z > begin - 1.8) & (z < end + 1.8))[:, 0]
        outside = corner[:, None] & ((x < left) | (x > right))
        below[outside] = pavement
        below[crossing] = road
        marked &= ~corner[:, None]
        stop = ((z > begin - 1.6) & (z < begin - 1.1)) & (x > 0.0) & on_road
        marked |= stop
    for surface, at, depth, wide, deep in patches:
        patch = (np.abs(x - at) < wide) & (np.abs(z - depth) < deep) & (below == road)
        below[patch] = surface
    below[marked & on_road] = mark
    if street.zebra is not None:
        stripes = (z > street.zebra) & (z < street.zebra + 3.0) & (x % 1.0 < 0.5) & on_road
        below[stripes] = mark
    for lane in street.lanes:
        if lane.tram:
            for gauge in (-0.72, 0.72):
                below[np.abs(x - lane.centre - gauge) < 0.09] = rail
    canvas.paste(ids)
