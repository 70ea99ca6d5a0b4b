import concurrent.futures
import hashlib
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labor_jax.data import street
from labor_jax.data.street import layout, light, sensor, styles
from labor_jax.data.street.canvas import Camera, Canvas
from labor_jax.data.street.classes import Label
from labor_jax.data.street.dice import Dice
from labor_jax.data.street.shading import shade

ROOT = pathlib.Path(__file__).parents[2]
SMALL = (64, 128)


@pytest.fixture(scope="module")
def splits():
    """48 scenes of each domain: {domain: (images, labels)}."""
    found = {}
    for domain in street.DOMAINS:
        scenes = [street.render(domain, 5, k, SMALL) for k in range(48)]
        found[domain] = tuple(np.stack(part) for part in zip(*scenes, strict=True))
    return found


def _digest(domain: str, seed: int, index: int, size=SMALL) -> str:
    image, label = street.render(domain, seed, index, size)
    return hashlib.sha256(image.tobytes() + label.tobytes()).hexdigest()


def test_classes_are_the_cityscapes_training_classes():
    assert (
        *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light"),
        *("traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car", "truck"),
        *("bus", "train", "motorcycle", "bicycle"),
    ) == street.CLASSES
    names = {label.name.lower().replace("_", " "): label.value for label in Label}
    assert names == {name: number for number, name in enumerate(street.CLASSES)}
    assert street.PALETTE.shape == (19, 3)
    assert street.PALETTE.dtype == np.uint8
    assert tuple(street.PALETTE[0]) == (128, 64, 128)
    assert tuple(street.PALETTE[13]) == (0, 0, 142)
    assert len({tuple(colour) for colour in street.PALETTE}) == 19


@settings(max_examples=12, deadline=None)
@given(
    domain=st.sampled_from(street.DOMAINS),
    seed=st.integers(0, 2**40),
    index=st.integers(0, 10**6),
    height=st.integers(32, 100),
    width=st.integers(64, 200),
)
def test_any_scene_has_a_class_in_every_pixel_and_repeats(domain, seed, index, height, width):
    image, label = street.render(domain, seed, index, (height, width))
    assert image.shape == (height, width, 3)
    assert image.dtype == np.uint8
    assert label.shape == (height, width)
    assert label.dtype == np.uint8
    assert label.max() < len(street.CLASSES)
    assert _digest(domain, seed, index, (height, width)) == _digest(
        domain, seed, index, (height, width)
    )


def test_scenes_are_the_same_in_another_process():
    code = (
        "import hashlib; from labor_jax.data import street\n"
        "for domain in street.DOMAINS:\n"
        "    image, label = street.render(domain, 3, 7, (64, 128))\n"
        "    print(hashlib.sha256(image.tobytes() + label.tobytes()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "123"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [_digest(domain, 3, 7) for domain in street.DOMAINS]


def test_domain_seed_and_index_each_give_another_scene():
    scenes = [
        _digest(*key)
        for key in (
            *(("camera", 0, 0), ("camera", 0, 1), ("camera", 1, 0)),
            *(("simulator", 0, 0), ("simulator", 1, 1)),
        )
    ]
    assert len(set(scenes)) == len(scenes)


@pytest.mark.parametrize("domain", street.DOMAINS)
def test_every_class_occurs_often_enough_to_be_measured(splits, domain):
    labels = splits[domain][1].reshape(48, -1)
    for index, name in enumerate(street.CLASSES):
        pixels = (labels == index).sum(1)
        assert (pixels >= 16).sum() >= 5, f"{name}: {pixels}"
    share = np.bincount(labels.ravel(), minlength=19) / labels.size
    rare = [street.CLASSES.index(name) for name in ("rider", "motorcycle", "bicycle", "bus")]
    assert share[rare].max() < 0.05
    assert share[0] > 0.15


@pytest.mark.parametrize("domain", street.DOMAINS)
def test_scenes_are_laid_out_like_streets(splits, domain):
    labels = splits[domain][1]
    top, bottom = labels[:, : SMALL[0] // 3], labels[:, -SMALL[0] // 4 :]
    sky, road = street.CLASSES.index("sky"), street.CLASSES.index("road")
    assert (top == sky).mean() > 0.1
    assert not (bottom == sky).any()
    assert (bottom == road).mean() > 0.4
    assert not (labels[:, : SMALL[0] // 5] == road).any()


def test_the_domains_differ_in_appearance(splits):
    """The mean colour of most classes moves farther than the classes of one domain lie apart."""

    def means(domain):
        images, labels = splits[domain]
        return np.stack([images[labels == k].mean(0) for k in range(19)])

    simulator, camera = means("simulator"), means("camera")
    moved = np.linalg.norm(simulator - camera, axis=1)
    assert np.median(moved) > 30.0
    # No gain and offset per channel maps one domain's classes to the other's.
    left = []
    for channel in range(3):
        design = np.stack([simulator[:, channel], np.ones(19)], 1)
        fit = design @ np.linalg.lstsq(design, camera[:, channel], rcond=None)[0]
        left.append(camera[:, channel] - fit)
    assert np.sqrt(np.mean(np.square(left))) > 12.0

    def nearest(domain, at):
        images, labels = splits[domain]
        flat, truth = images[::4].reshape(-1, 3), labels[::4].ravel()
        pick = np.random.default_rng(0).integers(0, truth.size, 4000)
        distance = ((flat[pick, None].astype(float) - at) ** 2).sum(-1)
        return (distance.argmin(1) == truth[pick]).mean()

    # Part of the palette is shared, so colours learnt on one domain are of some use on the other.
    assert nearest("camera", camera) > 1.3 * nearest("camera", simulator)


def test_camera_is_noisy_and_simulator_is_clean(splits):
    """Neighbouring road pixels: equal or nearly so in the simulator, not under a camera."""

    def roughness(domain):
        images, labels = splits[domain]
        both = (labels[:, :, 1:] == 0) & (labels[:, :, :-1] == 0)
        step = np.abs(np.diff(images.astype(int), axis=2)).mean(-1)
        return np.median(step[both])

    assert roughness("camera") > 2.0 * roughness("simulator")


def test_labels_and_colours_come_from_one_map():
    """Before the camera, colours change where labels do: both are looked up by surface."""
    dice = Dice(np.random.default_rng(4))
    noon = light.simulator_light(dice)
    canvas = layout.compose(
        (96, 192), styles.SIMULATOR_STATISTICS, styles.SIMULATOR_MATERIALS, noon, dice
    )
    labels = canvas.labels()
    colours = shade(canvas, noon, 0)
    edge = labels[:, 1:] != labels[:, :-1]
    step = np.abs(np.diff(colours, axis=2)).max(0)
    assert colours.shape == (3, 96, 192)
    assert np.isfinite(colours).all()
    # A few neighbours of two classes look alike; hardly any boundary may be without a step.
    assert (step[edge] > 0.01).mean() > 0.97


@pytest.mark.parametrize("domain", street.DOMAINS)
def test_another_size_shows_the_same_scene(domain):
    for index in range(4):
        small = street.render(domain, 2, index, (96, 192))[1]
        large = street.render(domain, 2, index, (192, 384))[1]
        assert (large[::2, ::2] == small).mean() > 0.85
        assert (large[1::2, 1::2] == small).mean() > 0.85


def test_layouts_vary(splits):
    for _, labels in splits.values():
        road = (labels == 0).mean((1, 2))
        sky = (labels == 10).mean((1, 2))
        assert road.std() > 0.03
        assert sky.std() > 0.04


@settings(max_examples=50, deadline=None)
@given(
    x=st.floats(-12, 12),
    y=st.floats(0, 8),
    near=st.floats(1, 50),
    length=st.floats(0.5, 30),
    part=st.floats(0, 1),
)
def test_planes_give_back_the_depth_of_projected_points(x, y, near, length, part):
    camera = Camera(focal=1.1, height=1.7, horizon=0.45, centre=0.9, offset=1.3, bend=0.0)
    z = near + part * length
    u, v = camera.project(x, y, z)
    ends = [camera.project(x, 0.0, depth)[0] for depth in (near, near + length)]
    edge_on = abs(ends[1] - ends[0]) < 1e-4  # too narrow a wall to have a depth of its own
    for plane, at in (
        (camera.facing(z), (u, v)),
        (camera.ground(), camera.project(x, 0.0, z)),
        (None, None) if edge_on else (camera.along(x, near, near + length), (u, v)),
    ):
        if plane is not None:
            inverse = plane[0] + plane[1] * at[0] + plane[2] * at[1]
            np.testing.assert_allclose(inverse, 1.0 / z, rtol=1e-6)


@pytest.mark.parametrize("x", [-4.0, 4.0])
def test_what_stands_before_a_flank_is_drawn_after_it(x):
    """A train beside the camera from 8 to 32 m; the camera is between the two tracks."""
    camera = Camera(focal=1.0, height=1.5, horizon=0.5, centre=1.0, offset=0.0, bend=0.0)
    scene = layout.Scene(Canvas(camera, (32, 64)), None, None, None, None, None)
    order = []
    scene.add(0.4 * x, 20.0, lambda: order.append("car between camera and train"))
    scene.add_long(x, 8.0, 32.0, lambda: order.append("train"))
    scene.add(1.5 * x, 12.0, lambda: order.append("person behind the train"))
    scene.add(-1.5 * x, 40.0, lambda: order.append("far house"))
    scene.add(1.5 * x, 5.0, lambda: order.append("near lamp"))
    scene.draw()
    assert order == [
        *("far house", "person behind the train", "train"),
        *("car between camera and train", "near lamp"),
    ]


def test_later_surfaces_cover_earlier_ones():
    camera = Camera(focal=1.0, height=1.5, horizon=0.5, centre=1.0, offset=0.0, bend=0.0)
    canvas = Canvas(camera, (32, 64))
    first = canvas.surface(10, (0.1, 0.2, 0.3), (0.0, 0.0, 0.0))
    second = canvas.surface(3, (0.5, 0.5, 0.5), camera.facing(5.0))
    canvas.polygon([(0.0, 0.0), (2.0, 0.0), (2.0, 1.0), (0.0, 1.0)], first)
    canvas.polygon([(0.5, 0.25), (1.5, 0.25), (1.5, 0.75), (0.5, 0.75)], second)
    ids = canvas.ids()
    assert ids[0, 0] == first
    assert ids[16, 32] == second
    assert abs((ids == second).mean() - 0.25) < 0.06


def test_camera_dims_the_corners_and_keeps_the_shape():
    grey = np.full((3, 48, 96), 0.5, np.float32)
    rng = np.random.default_rng(0)
    image = sensor.render_camera(grey, Dice(rng), rng).astype(float)
    assert image.shape == (48, 96, 3)
    assert image[20:28, 40:56].mean() > image[:4, :4].mean() + 3.0
    assert image[20:28, 40:56].std() > 0.5
    assert (sensor.render_clean(grey) == 128).all()


def test_split_gives_rendered_scenes_by_index():
    split = street.StreetScenes("camera", 3, size=SMALL, seed=9)
    assert len(split) == 3
    assert split.names == ("camera_00000", "camera_00001", "camera_00002")
    for k in range(3):
        image, label = street.render("camera", 9, k, SMALL)
        np.testing.assert_array_equal(split.image(k), image)
        np.testing.assert_array_equal(split.label(k), label)
        assert split.size(k) == SMALL


def test_names_are_unique_and_sorted():
    names = street.StreetScenes("simulator", 100_001, size=SMALL).names
    assert len(set(names)) == 100_001
    assert list(names) == sorted(names)


def _count_renders(monkeypatch):
    calls = []
    original = street.scenes.render

    def counted(*arguments):
        calls.append(arguments[2])
        return original(*arguments)

    monkeypatch.setattr(street.scenes, "render", counted)
    return calls


def test_an_epoch_renders_once(monkeypatch):
    calls = _count_renders(monkeypatch)
    split = street.StreetScenes("simulator", 4, size=SMALL)
    for _ in range(2):
        for k in range(4):
            split.image(k)
            split.label(k)
    assert calls == [0, 1, 2, 3]


def test_cache_is_bounded_and_a_scene_that_does_not_fit_is_still_rendered_once(monkeypatch):
    calls = _count_renders(monkeypatch)
    room = 2 * 4 * SMALL[0] * SMALL[1]
    split = street.StreetScenes("simulator", 60, size=SMALL, cache_bytes=room)
    for k in range(60):
        split.image(k)
        split.label(k)
    assert calls == list(range(60))
    assert len(split._kept) == 2
    assert len(split._recent) <= 32
    split.image(0)
    split.image(1)
    assert len(calls) == 60
    split.image(2)
    assert calls[60:] == [2]


def test_cached_scenes_cannot_be_changed():
    split = street.StreetScenes("simulator", 1, size=SMALL)
    with pytest.raises(ValueError, match="read-only"):
        split.image(0)[0, 0] = 0
    with pytest.raises(ValueError, match="read-only"):
        split.label(0)[0, 0] = 0


def test_threads_get_the_right_scenes():
    split = street.StreetScenes("camera", 6, size=SMALL, seed=1, cache_bytes=200_000)
    wanted = [street.render("camera", 1, k, SMALL) for k in range(6)]
    order = np.random.default_rng(0).integers(0, 6, 60).tolist()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda k: (k, split.image(k), split.label(k)), order))
    for k, image, label in found:
        np.testing.assert_array_equal(image, wanted[k][0])
        np.testing.assert_array_equal(label, wanted[k][1])


def test_split_travels_to_another_process():
    split = street.StreetScenes("camera", 2, size=SMALL, seed=4)
    split.image(0)
    packed = pickle.dumps(split)
    assert len(packed) < 2_000
    np.testing.assert_array_equal(pickle.loads(packed).image(0), split.image(0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"domain": "gtav"}, "unknown domain 'gtav'.*simulator, camera"),
        ({"count": 0}, "count must be positive"),
        ({"count": -3}, "count must not be negative"),
        ({"count": 2.5}, "count must be an integer"),
        ({"size": (31, 128)}, r"at least \(32, 64\), got \(31, 128\)"),
        ({"size": (64, 63)}, r"at least \(32, 64\)"),
        ({"size": 64}, "two integers"),
        ({"size": (64.0, 128.0)}, "two integers"),
        ({"seed": -1}, "seed must not be negative"),
        ({"cache_bytes": -1}, "cache_bytes must not be negative"),
    ],
)
def test_wrong_arguments_are_refused(change, message):
    arguments = {"domain": "camera", "count": 2, "size": SMALL, "seed": 0, **change}
    domain, count = arguments.pop("domain"), arguments.pop("count")
    with pytest.raises(ValueError, match=message):
        street.StreetScenes(domain, count, **arguments)


def test_render_refuses_wrong_arguments():
    with pytest.raises(ValueError, match="unknown domain 'real'"):
        street.render("real", 0, 0, SMALL)
    with pytest.raises(ValueError, match="index must not be negative"):
        street.render("camera", 0, -1, SMALL)
    with pytest.raises(ValueError, match="at least"):
        street.render("camera", 0, 0, (16, 32))


@pytest.mark.parametrize("index", [-1, 2, 100])
def test_scene_outside_the_split_is_an_index_error(index):
    split = street.StreetScenes("camera", 2, size=SMALL)
    for method in (split.image, split.label, split.size):
        with pytest.raises(IndexError, match="split of 2: use 0 to 1"):
            method(index)
