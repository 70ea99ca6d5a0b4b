"""Composes a scene: decides what stands and moves where, and draws it from far to near."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from labor_jax.data.street import people, roadside, vehicles
from labor_jax.data.street.canvas import Canvas
from labor_jax.data.street.classes import Label
from labor_jax.data.street.dice import Dice
from labor_jax.data.street.ground import Street, paint_ground, sample_street
from labor_jax.data.street.light import Light
from labor_jax.data.street.styles import Materials, Statistics

_FIRST = 1.2  # depth in metres at which the roadside begins
_LAST = 120.0
_LONG = 5.0  # length in metres from which a vehicle's flank counts when things are ordered


class Scene:
    """The things of one scene, gathered in any order and drawn from far to near."""

    def __init__(
        self,
        canvas: Canvas,
        street: Street,
        dice: Dice,
        statistics: Statistics,
        materials: Materials,
        light: Light,
    ):
        self.canvas, self.street, self.dice = canvas, street, dice
        self.statistics, self.materials, self.light = statistics, materials, light
        self._things: list[tuple[float, float, Callable[[], object]]] = []
        self._long: list[tuple[float, float, float]] = []
        self._taken: dict[float, list[tuple[float, float]]] = {}

    def add(self, x: float, z: float, draw: Callable[[], object]) -> None:
        """Notes what to draw at (x, z)."""
        self._things.append((z, x, draw))

    def add_long(self, x: float, near: float, far: float, draw: Callable[[], object]) -> None:
        """Notes a long thing along the street, which stands beside others over its length."""
        self._things.append((far, x, draw))
        self._long.append((x - self.canvas.camera.offset, near, far))

    def draw(self) -> None:
        """Draws everything, the farthest first.

        A long thing counts by its far end, so that what stands before its flank is drawn after it.
        What stands behind its flank has to be drawn before it, whatever its depth.
        """
        offset = self.canvas.camera.offset
        order = []
        for k, (z, x, draw) in enumerate(self._things):
            first = z
            for lateral, near, far in self._long:
                if near < z < far and (x - offset) * lateral > lateral * lateral:
                    first = max(first, far + 0.01)
            order.append((-first, -z, k, draw))
        for *_, draw in sorted(order, key=lambda item: item[:3]):
            draw()

    def take(self, x: float, near: float, far: float, gap: float = 1.0) -> bool:
        """Reserves a stretch of the lane at x; returns False when part of it is taken."""
        taken = self._taken.setdefault(round(x, 3), [])
        if any(near < end + gap and begin < far + gap for begin, end in taken):
            return False
        taken.append((near, far))
        return True

    def shadow(self, x: float, z: float, half: float, height: float, length: float = 0.0) -> None:
        """Casts the shadow of a thing that stands on the ground from z to z + length."""
        if not self.light.shade or z > 45.0:
            return
        dx, dz = self.light.shadow[0] * height, self.light.shadow[1] * height
        back = z + max(length, 2.0 * half if not length else 0.0)
        corners = [(x - half, z), (x + half, z), (x - half, back), (x + half, back)]
        corners += [(cx + dx, max(cz + dz, 0.8)) for cx, cz in corners]
        self.canvas.cast(_hull(corners))

    def visible(self, x: float, z: float, margin: float = 0.05) -> bool:
        """Returns whether the foot point (x, z) is within the image's width."""
        u = self.canvas.camera.project(x, 0.0, z)[0]
        return margin < u < 2.0 - margin

    def place(self, side: int, span: tuple[float, float], near: float, far: float):
        """Returns (x, z) that can be seen: `span` is measured outwards from the road's edge."""
        edge = self.street.edges[side]
        sign = -1.0 if side == 0 else 1.0
        x, z = edge + sign * self.dice.uniform(*span), self.dice.uniform(near, far)
        for _ in range(4):
            if self.visible(x, z):
                break
            z *= 1.35
        return x, z


def _hull(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Returns the convex hull (Andrew's monotone chain)."""
    points = sorted(points)

    def half(ordered):
        chain: list[tuple[float, float]] = []
        for point in ordered:
            while len(chain) >= 2:
                (ax, ay), (bx, by) = chain[-2], chain[-1]
                if (bx - ax) * (point[1] - ay) - (by - ay) * (point[0] - ax) > 0:
                    break
                chain.pop()
            chain.append(point)
        return chain[:-1]

    return half(points) + half(reversed(points))


def compose(
    size: tuple[int, int],
    statistics: Statistics,
    materials: Materials,
    light: Light,
    dice: Dice,
) -> Canvas:
    """Samples a scene and returns the canvas it is drawn on.

    No draw of the dice depends on the size: another size gives the same scene.

    Args:
      size: (height, width) in pixels.
      statistics: how the domain's streets are laid out.
      materials: what they are made of.
      light: light and weather.
      dice: the scene's randomness.
    """
    has_train = dice.chance(statistics.train)
    street, camera = sample_street(dice, statistics, has_train)
    canvas = Canvas(camera, size)
    scene = Scene(canvas, street, dice, statistics, materials, light)
    paint_ground(canvas, street, materials, light, dice)
    roadside.draw_skyline(canvas, dice, materials)
    for side in range(2):
        _line_with_fronts(scene, side)
    if dice.chance(statistics.closed):
        span = (-dice.uniform(25.0, 60.0), dice.uniform(25.0, 60.0))
        end = partial(roadside.draw_end_building, canvas, dice, materials, street.end, span)
        scene.add(0.0, street.end, end)
    _add_furniture(scene)
    _add_large_vehicles(scene, has_train)
    _add_cycles(scene)
    _add_cars(scene)
    _add_people(scene)
    scene.draw()
    return canvas


def _line_with_fronts(scene: Scene, side: int) -> None:
    """Fills one side of the street with buildings, walls, fences, parks and gaps."""
    dice, street, canvas, materials = scene.dice, scene.street, scene.canvas, scene.materials
    sign = -1.0 if side == 0 else 1.0
    x = sign * street.pavements[side]
    z = _FIRST
    kind, left = "", 0
    while z < _LAST:
        if street.in_junction(z):
            z = street.junction[1] + 1.5
        if left == 0:  # neighbours tend to be of one kind
            kind, left = dice.weighted(scene.statistics.frontage), dice.integer(1, 2)
        left -= 1
        far = z + dice.uniform(7.0, 16.0) * (1.0 + z / 50.0)
        if street.junction is not None and z < street.junction[0] < far + 2.0:
            far = max(street.junction[0] - 1.5, z + 1.0)
        depth = (z, far)
        if kind == "building":
            draw = partial(
                roadside.draw_building, canvas, dice, materials, x, depth, scene.statistics.storeys
            )
            scene.add(x, far, draw)
            scene.shadow(x + sign * 4.0, z, 4.0, dice.uniform(7.0, 14.0), far - z)
        elif kind in ("wall", "fence"):
            label = Label.WALL if kind == "wall" else Label.FENCE
            scene.add(
                x, far, partial(roadside.draw_barrier, canvas, dice, materials, label, x, depth)
            )
            scene.shadow(x, z, 0.1, 2.0, far - z)
            if dice.chance(0.5):
                behind = x + sign * dice.uniform(5.0, 9.0)
                draw = partial(
                    roadside.draw_building, canvas, dice, materials, behind, depth, (1, 3)
                )
                scene.add(behind, far + 0.1, draw)
        elif kind == "park" and dice.chance(0.5):
            scene.add(x, far, partial(roadside.draw_hedge, canvas, dice, materials, x, depth))
        if kind in ("wall", "fence", "park"):
            for _ in range(dice.integer(0, 3) if kind == "park" else dice.integer(0, 1)):
                at, tall = x + sign * dice.uniform(1.5, 7.0), dice.uniform(3.5, 9.0)
                tree_z = dice.uniform(z, far)
                scene.add(
                    at,
                    tree_z + 0.1,
                    partial(roadside.draw_tree, canvas, dice, materials, at, tree_z, tall),
                )
        if kind in ("park", "open") and dice.chance(0.6):
            at, bush_z = x + sign * dice.uniform(0.5, 4.0), dice.uniform(z, far)
            scene.add(at, bush_z, partial(roadside.draw_bush, canvas, dice, materials, at, bush_z))
        z = far


def _add_furniture(scene: Scene) -> None:
    """Adds street trees, lamps, traffic lights and signs along the kerbs."""
    dice, canvas, materials, street = scene.dice, scene.canvas, scene.materials, scene.street
    statistics = scene.statistics
    for _ in range(dice.count(statistics.trees)):
        x, z = scene.place(dice.integer(0, 1), (0.7, 1.8), 6.0, 30.0)
        tall = dice.uniform(4.0, 8.0)
        scene.add(x, z, partial(roadside.draw_tree, canvas, dice, materials, x, z, tall))
        scene.shadow(x, z, 0.25 * tall, tall)
    for _ in range(dice.count(statistics.lamps)):
        x, z = scene.place(dice.integer(0, 1), (0.4, 0.7), 5.0, 16.0)
        scene.add(x, z, partial(roadside.draw_lamp, canvas, dice, materials, scene.light, x, z))
        scene.shadow(x, z, 0.12, 7.0)
    for k in range(dice.count(statistics.lights)):
        near, far = (5.5, 13.0)
        if street.junction is not None and k == 0:
            near, far = street.junction[0] - 2.5, street.junction[0] - 1.0
        x, z = scene.place(dice.integer(0, 1), (0.4, 0.9), near, far)
        scene.add(x, z, partial(roadside.draw_traffic_light, canvas, dice, materials, x, z))
        scene.shadow(x, z, 0.15, 4.0)
    for _ in range(dice.count(statistics.signs)):
        x, z = scene.place(dice.integer(0, 1), (0.4, 1.2), 5.0, 13.0)
        scene.add(x, z, partial(roadside.draw_sign, canvas, dice, materials, x, z))
        scene.shadow(x, z, 0.3, 3.0)


def _add_along(scene: Scene, kind: str, lane, near: float) -> bool:
    """Adds a vehicle that drives in a lane; returns False when there is no room."""
    dice = scene.dice
    shape, paint = vehicles.sample_vehicle(dice, kind, scene.materials)
    x = lane.centre + dice.uniform(-0.2, 0.2)
    length, width, height = shape.size
    if not scene.take(lane.centre, near, near + length):
        return False
    draw = partial(vehicles.draw_along, scene.canvas, shape, paint, x, near, lane.oncoming)
    if length > _LONG:
        scene.add_long(x, near, near + length, draw)
    else:
        scene.add(x, near + 0.3, draw)
    scene.shadow(x, near - 0.1, 0.55 * width, height, length)
    return True


def _add_across(scene: Scene, kind: str, z: float) -> bool:
    """Adds a vehicle that crosses at depth z; returns False when there is no room."""
    dice = scene.dice
    shape, paint = vehicles.sample_vehicle(dice, kind, scene.materials)
    u = dice.uniform(0.2, 1.8)
    camera = scene.canvas.camera
    x = (u - camera.centre) * z / camera.focal + camera.offset - camera.shift(z)
    length, width, height = shape.size
    for lane in scene.street.lanes:
        if abs(lane.centre - x) < 0.5 * length + 1.0 and not scene.take(lane.centre, z, z + width):
            return False
    draw = partial(vehicles.draw_across, scene.canvas, shape, paint, x, z, dice.chance(0.5))
    scene.add(x, z, draw)
    scene.shadow(x, z, 0.5 * length, height, width)
    return True


def _add_large_vehicles(scene: Scene, has_train: bool) -> None:
    """Adds the train, and buses and trucks, near enough to be seen."""
    dice, street = scene.dice, scene.street
    if has_train:
        lane = next(lane for lane in street.lanes if lane.tram)
        _add_along(scene, "train", lane, dice.uniform(7.0, 15.0))
    for kind in ("bus", "truck"):
        if not dice.chance(getattr(scene.statistics, kind)):
            continue
        for _ in range(4):
            if street.junction is not None and dice.chance(0.4):
                z = dice.uniform(street.junction[0] + 0.5, street.junction[1] - 3.0)
                if _add_across(scene, kind, max(z, 9.0)):
                    break
            lanes = [lane for lane in street.lanes if not lane.tram]
            if _add_along(scene, kind, dice.pick(lanes), dice.uniform(8.0, 19.0)):
                break


def _add_cars(scene: Scene) -> None:
    """Adds moving and parked cars."""
    dice, street, statistics = scene.dice, scene.street, scene.statistics
    lanes = [lane for lane in street.lanes if not lane.tram] or list(street.lanes)
    for _ in range(dice.count(statistics.cars)):
        if street.junction is not None and dice.chance(0.25):
            _add_across(scene, "car", dice.uniform(street.junction[0], street.junction[1] - 1.8))
        else:
            _add_along(scene, "car", dice.pick(lanes), dice.uniform(6.0, 38.0))
    for side, strip in enumerate(street.parking):
        if not strip:
            continue
        edge = street.edges[side]
        centre = edge + 1.1 if side == 0 else edge - 1.1
        z = dice.uniform(4.0, 9.0)
        for _ in range(dice.count(statistics.parked)):
            shape, paint = vehicles.sample_vehicle(dice, "car", scene.materials)
            length, width, height = shape.size
            if not (street.in_junction(z, 2.0) or street.in_junction(z + length, 2.0)):
                draw = partial(
                    vehicles.draw_along, scene.canvas, shape, paint, centre, z, side == 0
                )
                scene.add(centre, z + 0.3, draw)
                scene.shadow(centre, z, 0.55 * width, height, length)
            z += length + dice.uniform(0.7, 6.0)


def _add_cycles(scene: Scene) -> None:
    """Adds ridden and parked bicycles and motorcycles."""
    dice, materials, statistics = scene.dice, scene.materials, scene.statistics
    grain = materials.body_grain
    riders = dice.count(statistics.riders)
    parked = (
        *(True for _ in range(dice.integer(1, 2) if dice.chance(statistics.motorcycle) else 0)),
        *(False for _ in range(dice.integer(1, 3) if dice.chance(statistics.bicycle) else 0)),
    )
    for k in range(riders + len(parked)):
        ridden = k < riders
        motor = dice.chance(0.4) if ridden else parked[k - riders]
        colours = materials.motorcycle if motor else materials.bicycle
        paint = (dice.colour(colours, 0.05), dice.colour(materials.tyre, 0.01))
        rider = people.sample_outfit(dice, materials, True) if ridden else None
        side = dice.integer(0, 1)
        strip = scene.street.parking[side]
        span = (-2.0 - strip, -0.3 - strip) if ridden else (0.5, 1.6)
        x, z = scene.place(side, span, 4.2, 10.0)
        if ridden:  # keeps the cars of the lane at a distance
            lane = min(scene.street.lanes, key=lambda lane: abs(lane.centre - x))
            scene.take(lane.centre, z - 1.0, z + 1.0)
        scene.shadow(x, z, 0.7, 1.6)
        if dice.chance(0.3 if ridden else 0.15):
            draw = partial(people.draw_cycle_along, scene.canvas, x, z, motor, paint, rider, grain)
        else:
            turn = 1.0 if dice.chance(0.5) else -1.0
            draw = partial(
                people.draw_cycle_across, scene.canvas, x, z, motor, paint, rider, turn, grain
            )
        scene.add(x, z, draw)


def _add_people(scene: Scene) -> None:
    """Adds people on the pavements and, at a crossing, on the road."""
    dice, street = scene.dice, scene.street
    for _ in range(dice.count(scene.statistics.people)):
        side = dice.integer(0, 1)
        if street.zebra is not None and dice.chance(0.35):
            x = dice.uniform(*street.edges)
            z = street.zebra + dice.uniform(0.5, 2.5)
        else:
            x, z = scene.place(
                side, (0.6 + street.verges[side], 2.6 + street.verges[side]), 4.5, 13.0
            )
        outfit = people.sample_outfit(dice, scene.materials, False)
        stride = dice.uniform(0.0, 0.6)
        turn = 1.0 if dice.chance(0.5) else -1.0
        grain = scene.materials.body_grain
        draw = partial(people.draw_person, scene.canvas, x, z, outfit, stride, turn, grain)
        scene.add(x, z, draw)
        scene.shadow(x, z, 0.25, outfit.height)
