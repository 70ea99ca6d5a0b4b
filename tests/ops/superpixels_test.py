"""SLIC against a plain one in NumPy, pixel by pixel; and what its docstring promises."""

import functools
import math

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec
from scipy import ndimage

from labor_jax.ops import slic, superpixel_bound, superpixels

# (height, width), size, compactness, iterations: borders within cells, thin images, one cell.
SETTINGS = [
    pytest.param((17, 22), 5, 10.0, 3, marks=pytest.mark.slow),
    pytest.param((12, 20), 4, 0.0, 2, marks=pytest.mark.slow),
    pytest.param((9, 31), 2, 1.5, 2, marks=pytest.mark.slow),
    ((1, 14), 3, 40.0, 2),
    ((6, 5), 16, 10.0, 1),
]


def twin_cielab(colour):
    """CIELAB in eighths, rounded where the docstrings say so."""
    light = [int(superpixels.light_table()[value]) for value in colour]
    shares = []
    for row in superpixels.light_matrix():
        share = math.floor(sum(int(m) * v for m, v in zip(row, light, strict=True)) / 2**14 + 0.5)
        shares.append(int(superpixels.function_table()[share]))
    x, y, z = shares
    values = 8 * 116 * y, 8 * 500 * (x - y), 8 * 200 * (y - z)
    lightness, a, b = (math.floor(value / 2**12 + 0.5) for value in values)
    return np.array([lightness - 128, a, b])


def twin_connected(labels, roots, colours):
    """Keeps the pieces of the roots; the other pixels join step by step."""
    height, width = labels.shape
    result = np.full(labels.shape, -1)
    for number, root in roots.items():
        pieces, _ = ndimage.label(labels == number)
        result[pieces == pieces.flat[root]] = number
    while (result < 0).any():
        before = result.copy()
        for y, x in np.argwhere(before < 0):
            around = [(y - 1, x), (y, x - 1), (y, x + 1), (y + 1, x)]
            choices = [
                (((colours[y, x] - colours[place]) ** 2).sum(), order, before[place])
                for order, place in enumerate(around)
                if 0 <= place[0] < height and 0 <= place[1] < width and before[place] >= 0
            ]
            if choices:
                result[y, x] = min(choices)[2]
    return result


def twin(image, size, compactness, iterations):
    """SLIC with absolute places, one pixel and one superpixel after the other."""
    height, width = image.shape[:2]
    columns = -(-width // size)
    colours = np.apply_along_axis(twin_cielab, 2, image)
    y, x = np.indices((height, width))
    labels = y // size * columns + x // size
    weight, shift = superpixels.place_weight(size, compactness)
    vectors = np.concatenate([colours, np.stack([y, x], -1)], -1)
    centers = {}

    def move_centers():
        for number in np.unique(labels):
            members = vectors[labels == number]
            total = members.sum(0) * [1, 1, 1, 4, 4]
            centers[number] = (total + len(members) // 2) // len(members)

    def place_distance(pixel, center):
        return ((4 * np.array(pixel) - center[3:]) ** 2).sum()

    for _ in range(iterations):
        move_centers()
        for pixel in np.ndindex(height, width):
            best = None
            for number, center in sorted(centers.items()):
                cell = divmod(number, columns)
                if max(abs(pixel[0] // size - cell[0]), abs(pixel[1] // size - cell[1])) <= 1:
                    distance = ((colours[pixel] - center[:3]) ** 2).sum()
                    distance += place_distance(pixel, center) * weight >> shift
                    if best is None or distance < best:
                        best, labels[pixel] = distance, number
    move_centers()
    roots = {}
    for number in np.unique(labels):
        members = [(int(i), int(j)) for i, j in np.argwhere(labels == number)]
        nearest = min(members, key=lambda pixel: place_distance(pixel, centers[number]))
        roots[number] = nearest[0] * width + nearest[1]
    return twin_connected(labels, roots, colours)


def images(size):
    return st.one_of(
        hnp.arrays(np.uint8, (*size, 3)),
        hnp.arrays(np.uint8, (*size, 3), elements=st.sampled_from([0, 90, 255])),
        st.integers(0, 2**32 - 1).map(functools.partial(smooth_image, size)),
    )


def smooth_image(size, seed):
    """Blobs with a little noise: what superpixels are for."""
    rng = np.random.default_rng(seed)
    blobs = ndimage.gaussian_filter(rng.normal(size=(*size, 3)), (2, 2, 0)) > 0
    return np.uint8(np.clip(blobs * 150 + rng.normal(50, 10, (*size, 3)), 0, 255))


@pytest.mark.parametrize(("image_size", "size", "compactness", "iterations"), SETTINGS)
def test_equals_the_twin(image_size, size, compactness, iterations):
    @hypothesis.given(images(image_size))
    @hypothesis.settings(max_examples=8)
    def check(image):
        result = np.asarray(slic(image, size=size, compactness=compactness, iterations=iterations))
        np.testing.assert_array_equal(result, twin(image, size, compactness, iterations))
        assert result.dtype == np.int32
        assert result.min() >= 0 and result.max() < superpixel_bound(image_size, size)
        for number in np.unique(result):
            assert ndimage.label(result == number)[1] == 1

    check()


@pytest.mark.slow
def test_batches_and_floating_images_give_the_same():
    batch = np.stack([smooth_image((17, 22), seed) for seed in range(2)])
    function = functools.partial(slic, size=5, compactness=10.0, iterations=3)
    expected = [np.asarray(function(image)) for image in batch]
    near = batch.astype(np.float32) + np.float32(0.25) * np.where(batch == 255, 9, 1)
    np.testing.assert_array_equal(jax.vmap(function)(near), expected)


@pytest.mark.slow
def test_runs_on_a_mesh():
    batch = np.stack([smooth_image((17, 22), seed) for seed in range(2)])
    function = jax.vmap(functools.partial(slic, size=5, compactness=10.0, iterations=3))
    spec = PartitionSpec("batch")
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    mapped = jax.jit(jax.shard_map(function, mesh=mesh, in_specs=spec, out_specs=spec))
    np.testing.assert_array_equal(mapped(batch), function(batch))


def test_an_image_of_one_colour_keeps_the_cells():
    for (height, width), iterations in (((15, 20), 3), ((17, 22), 0)):
        image = np.full((height, width, 3), 130, np.uint8)
        y, x = np.indices((height, width))
        result = slic(image, size=5, compactness=10.0, iterations=iterations)
        np.testing.assert_array_equal(result, y // 5 * -(-width // 5) + x // 5)


def test_the_border_of_two_colours_is_followed():
    image = np.zeros((17, 22, 3), np.uint8)
    image[:, 8:] = (200, 180, 20)
    result = np.asarray(slic(image, size=5, compactness=10.0, iterations=3))
    assert not set(result[:, 7]) & set(result[:, 8])


def test_colours_are_cielab():
    assert twin_cielab((0, 0, 0)).tolist() == [0, 0, 0]
    assert twin_cielab((255, 255, 255)).tolist() == [800, 0, 0]
    # CIE's values for the primaries of sRGB, D65.
    for colour, lab in {
        (255, 0, 0): (53.24, 80.09, 67.20),
        (0, 255, 0): (87.73, -86.18, 83.18),
        (0, 0, 255): (32.30, 79.19, -107.86),
    }.items():
        np.testing.assert_allclose(twin_cielab(colour) / 8, lab, atol=0.2)


@pytest.mark.parametrize("size", [2, 31, 256])
@pytest.mark.parametrize("compactness", [0.01, 10.0, 1000.0])
def test_the_weight_of_places_is_near_and_fits(size, compactness):
    weight, shift = superpixels.place_weight(size, compactness)
    exact = 4 * (compactness / size) ** 2
    assert weight / 2**shift == pytest.approx(exact, rel=1e-2, abs=2.0**-30)
    largest = 2 * (3 * size * 4) ** 2 * weight
    # The colours of sRGB are at most 800, 1472 and 1616 apart.
    assert largest < 2**31 and (largest >> shift) + 800**2 + 1472**2 + 1616**2 < 2**31


def test_wrong_arguments_are_refused():
    image = np.zeros((8, 8, 3), np.uint8)
    settings = {"size": 4, "compactness": 10.0, "iterations": 1}
    for changed in ({"size": 1}, {"size": 257}, {"compactness": -1.0}, {"iterations": -1}):
        with pytest.raises(ValueError, match=next(iter(changed))):
            slic(image, **(settings | changed))
    with pytest.raises(ValueError, match="vmap"):
        slic(image[None], **settings)
    with pytest.raises(ValueError, match="one image"):
        slic(image[:0], **settings)
    with pytest.raises(TypeError, match="uint8"):
        slic(image.astype(np.int32), **settings)
    with pytest.raises(TypeError):
        slic(image, **(settings | {"size": 4.0}))


def test_the_bound_is_the_number_of_cells():
    assert superpixel_bound((17, 22), 5) == 4 * 5
    assert superpixel_bound((1024, 2048), 32) == 2048
    with pytest.raises(ValueError, match="size must be 1 or more"):
        superpixel_bound((8, 8), 0)
