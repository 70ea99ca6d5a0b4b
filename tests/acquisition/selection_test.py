import functools

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax import acquisition
from labor_jax.acquisition import greedy_parallel, greedy_sequential, pixel_order

FORMS = {"sequential": greedy_sequential.greedy_centers, "parallel": greedy_parallel.greedy_centers}


def _assert_selection(selection, expected):
    assert selection._fields == ("centers", "valid", "query", "available")
    for found, own in zip(selection, expected, strict=True):
        np.testing.assert_array_equal(found, own)


@functools.partial(jax.jit, static_argnums=(0, 3, 4))
def _centers(form, score, available, count, suppression_radius):
    return FORMS[form](pixel_order.sort_key(score, available), count, suppression_radius)


# (height, width, count, suppression radius): borders, exhausted images, single lines, a window
# larger than the image, more picks than pixels, more rows than a band.
CASES = [
    (9, 13, 40, 1),
    (1, 17, 6, 1),
    (17, 1, 6, 1),
    (1, 1, 3, 2),
    (6, 7, 4, 30),
    (5, 6, 35, 0),
    (70, 9, 12, 3),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES, ids=str)
@hypothesis.settings(max_examples=8, deadline=None)
@hypothesis.given(
    seed=st.integers(0, 2**32 - 1),
    levels=st.sampled_from([1, 2, 4, 1000]),
    share=st.sampled_from([0.0, 0.2, 0.9, 1.0]),
)
def test_each_form_is_the_greedy_loop(greedy, form, case, seed, levels, share):
    height, width, count, suppression_radius = case
    rng = np.random.default_rng(seed)
    score = rng.integers(-levels, levels, (height, width)).astype(np.float32) / levels
    available = rng.random((height, width)) < share
    expected, *_ = greedy(score, available, count, 0, suppression_radius)
    found = _centers(form, score, available, count, suppression_radius)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("slope", [(1, 0), (0, 1), (-1, -1), (1, -3)], ids=str)
def test_ramps_are_picked_in_order(greedy, form, slope):
    # On a ramp each pick depends on the one before: the longest chain for the parallel form.
    rows, columns = np.mgrid[:40, :35].astype(np.float32)
    score = slope[0] * rows + slope[1] * columns
    available = np.ones(score.shape, bool)
    expected, *_ = greedy(score, available, 30, 0, 2)
    np.testing.assert_array_equal(_centers(form, score, available, 30, 2), expected)


@pytest.mark.parametrize("form", FORMS)
@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(
    score=hnp.arrays(
        np.float32,
        (6, 5),
        elements=st.sampled_from([-np.inf, -0.0, 0.0, 1e-40, 3e38, np.inf, np.nan]),
    ),
    available=hnp.arrays(np.bool_, (6, 5)),
)
def test_special_scores_are_ranked(greedy, form, score, available):
    expected, *_ = greedy(score, available, 12, 0, 1)
    np.testing.assert_array_equal(_centers(form, score, available, 12, 1), expected)


def test_forms_agree_on_a_large_smooth_image():
    noise = jax.random.normal(jax.random.key(0), (150, 210))
    score = jax.image.resize(noise[:20, :30], (150, 210), "cubic") + 0.01 * noise
    available = noise < 1.5
    np.testing.assert_array_equal(
        _centers("sequential", score, available, 60, 4),
        _centers("parallel", score, available, 60, 4),
    )


@pytest.mark.parametrize("form", FORMS)
def test_forms_work_under_vmap(form):
    rng = np.random.default_rng(1)
    score = rng.integers(0, 30, (3, 20, 24)).astype(np.float32)
    # The images run out after different numbers of picks.
    available = rng.random(score.shape) < np.float32([1.0, 0.2, 0.0])[:, None, None]
    batch = jax.jit(jax.vmap(lambda s, a: _centers(form, s, a, 25, 2)))(score, available)
    for index in range(3):
        single = _centers(form, score[index], available[index], 25, 2)
        np.testing.assert_array_equal(batch[index], single)


@pytest.mark.parametrize("form", FORMS)
def test_forms_work_under_shard_map(form):
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("batch",))
    score = np.random.default_rng(2).random((2, 10, 12), np.float32)
    select = jax.vmap(lambda s: _centers(form, s, jnp.ones(s.shape, bool), 5, 2))
    spec = jax.sharding.PartitionSpec("batch")
    sharded = jax.jit(jax.shard_map(select, mesh=mesh, in_specs=spec, out_specs=spec))
    np.testing.assert_array_equal(sharded(score), select(score))


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_a_batch_compiles_for_accelerators(platform):
    select = functools.partial(acquisition.select_regions, count=5, radius=1, suppression_radius=2)
    score, available = (jax.ShapeDtypeStruct((2, 10, 12), dtype) for dtype in ("float32", "bool"))
    exported = jax.export.export(jax.jit(jax.vmap(select)), platforms=[platform])
    assert exported(score, available).platforms == (platform,)


@pytest.mark.parametrize(
    ("count", "radius", "suppression_radius"), [(6, 1, 2), (3, 2, 0), (200, 0, 0), (4, 9, 20)]
)
@pytest.mark.parametrize("levels", [1, 3, 1000])
def test_regions_equal_the_loop(greedy, count, radius, suppression_radius, levels):
    rng = np.random.default_rng(levels)
    score = rng.integers(0, levels, (11, 14)).astype(np.float32)
    available = rng.random(score.shape) < 0.8
    selection = acquisition.select_regions(
        score, available, count=count, radius=radius, suppression_radius=suppression_radius
    )
    _assert_selection(selection, greedy(score, available, count, radius, suppression_radius))


@pytest.mark.parametrize(("count", "suppression_radius"), [(1, 0), (30, 0), (5, 3)])
def test_points_equal_the_loop(greedy, count, suppression_radius):
    # 64x80 pixels and 30 picks: with no suppression one of the counts takes either form.
    rng = np.random.default_rng(5)
    score = rng.integers(0, 20, (64, 80)).astype(np.float32)
    available = rng.random(score.shape) < 0.3
    selection = acquisition.select_points(
        score, available, count=count, suppression_radius=suppression_radius
    )
    _assert_selection(selection, greedy(score, available, count, 0, suppression_radius))


def test_points_default_to_no_suppression(greedy):
    score = np.arange(12, dtype=np.float32).reshape(3, 4)
    available = np.ones((3, 4), bool)
    selection = acquisition.select_points(score, available, count=2)
    _assert_selection(selection, greedy(score, available, 2, 0, 0))


def test_rounds_never_pick_or_ask_a_pixel_twice():
    score = jax.random.uniform(jax.random.key(2), (30, 40))
    available = jnp.ones(score.shape, bool)
    asked = np.zeros(score.shape, int)
    for _ in range(4):
        selection = acquisition.select_regions(
            score, available, count=20, radius=1, suppression_radius=2
        )
        asked += np.asarray(selection.query)
        available = selection.available
    assert asked.max() == 1
    assert not (np.asarray(available) & (asked > 0)).any()


def test_minus_infinity_is_a_candidate_while_available():
    score = jnp.full((2, 2), -jnp.inf)
    selection = acquisition.select_points(score, jnp.eye(2, dtype=bool), count=3)
    assert selection.centers.tolist() == [[0, 0], [1, 1], [-1, -1]]
    assert selection.valid.tolist() == [True, True, False]


def test_a_batch_is_the_vmap(greedy):
    rng = np.random.default_rng(6)
    score = rng.integers(0, 5, (4, 12, 10)).astype(np.float32)
    available = rng.random(score.shape) < 0.7
    select = functools.partial(acquisition.select_regions, count=7, radius=1, suppression_radius=2)
    batch = jax.jit(jax.vmap(select))(score, available)
    for index in range(4):
        expected = greedy(score[index], available[index], 7, 1, 2)
        _assert_selection(jax.tree.map(lambda leaf, i=index: leaf[i], batch), expected)
    _assert_selection(select(score[0], available[0]), greedy(score[0], available[0], 7, 1, 2))


def test_gradient_passes_by_a_selection():
    def asked_score(score):
        selection = acquisition.select_points(
            score, jnp.ones(score.shape, bool), count=2, suppression_radius=1
        )
        return jnp.sum(jnp.where(selection.query, score, 0.0))

    score = jax.random.uniform(jax.random.key(3), (5, 5))
    gradient = jax.grad(asked_score)(score)
    assert sorted(np.unique(gradient).tolist()) == [0.0, 1.0]
    assert gradient.sum() == 2


def test_lower_precision_scores_are_accepted(greedy):
    score = jnp.asarray([[0.5, 2.0], [1.0, 2.0]], jnp.bfloat16)
    selection = acquisition.select_points(score, jnp.ones((2, 2), bool), count=4)
    assert selection.centers.tolist() == [[0, 1], [1, 1], [1, 0], [0, 0]]


def test_count_zero_asks_nothing():
    available = jnp.ones((3, 4), bool)
    selection = acquisition.select_points(jnp.zeros((3, 4)), available, count=0)
    assert selection.centers.shape == (0, 2)
    assert not selection.query.any()
    assert selection.available.all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"score": jnp.zeros((2, 3, 4))}, ValueError, r"one image \[H, W\]"),
        ({"available": jnp.ones((4, 3), bool)}, ValueError, "available must have shape"),
        ({"available": jnp.ones((3, 4))}, ValueError, "available must be bool"),
        ({"count": -1}, ValueError, "count must be 0 or more"),
        ({"radius": -2}, ValueError, "radius must be 0 or more"),
        ({"suppression_radius": -2}, ValueError, "suppression_radius must be 0 or more"),
        ({"count": 1.5}, TypeError, "integer"),
    ],
)
def test_wrong_input_is_explained(change, error, message):
    arguments = {
        "score": jnp.zeros((3, 4)),
        "available": jnp.ones((3, 4), bool),
        "count": 1,
        "radius": 0,
        "suppression_radius": 0,
    } | change
    score, available = arguments.pop("score"), arguments.pop("available")
    with pytest.raises(error, match=message):
        acquisition.select_regions(score, available, **arguments)


def _capped_twin(mask, discrepancy, available, max_pixels):
    pixels = zip(*np.nonzero(mask & available), strict=True)
    ranked = sorted(pixels, key=lambda pixel: (-discrepancy[pixel], pixel[1], pixel[0]))
    query = np.zeros(mask.shape, bool)
    for pixel in ranked[:max_pixels]:
        query[pixel] = True
    return query


@pytest.mark.parametrize("max_pixels", [None, 0, 9, 1000])
@hypothesis.settings(max_examples=15, deadline=None)
@hypothesis.given(
    mask=hnp.arrays(np.bool_, (5, 7)),
    available=hnp.arrays(np.bool_, (5, 7)),
    discrepancy=hnp.arrays(np.float32, (5, 7), elements=st.sampled_from([0.0, 0.5, 1.0, 2.0])),
)
def test_inconsistent_pixels_under_a_cap(max_pixels, mask, available, discrepancy):
    selection = acquisition.select_inconsistent(mask, discrepancy, available, max_pixels=max_pixels)
    expected = _capped_twin(mask, discrepancy, available, max_pixels)
    np.testing.assert_array_equal(selection.query, expected)
    np.testing.assert_array_equal(selection.available, available & ~expected)


def test_inconsistent_pixels_of_a_batch():
    rng = np.random.default_rng(7)
    mask, available = rng.random((2, 3, 8, 9)) < 0.6
    discrepancy = rng.integers(0, 4, (3, 8, 9)).astype(np.float32)
    select = functools.partial(acquisition.select_inconsistent, max_pixels=10)
    query = jax.vmap(select)(mask, discrepancy, available).query
    for index in range(3):
        np.testing.assert_array_equal(
            query[index], _capped_twin(mask[index], discrepancy[index], available[index], 10)
        )


def test_wrong_distances_to_what_was_asked_are_explained():
    available = jnp.ones((3, 4), bool)
    with pytest.raises(ValueError, match="radius must be 0 or more, got -1"):
        acquisition.clear_of_asked(available, -1)
    with pytest.raises(ValueError, match="available must be one image"):
        acquisition.clear_of_asked(available[None], 1)
    with pytest.raises(ValueError, match="available must be bool"):
        acquisition.clear_of_asked(available * 1, 1)


def test_wrong_masks_are_explained():
    discrepancy, mask = jnp.zeros((3, 4)), jnp.ones((3, 4), bool)
    with pytest.raises(ValueError, match="mask must be bool"):
        acquisition.select_inconsistent(discrepancy, discrepancy, mask)
    with pytest.raises(ValueError, match="max_pixels must be 0 or more"):
        acquisition.select_inconsistent(mask, discrepancy, mask, max_pixels=-1)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)], ids=str)
def test_nothing_is_asked_of_an_empty_image(shape):
    free = jnp.ones(shape, bool)
    found = acquisition.select_regions(
        jnp.zeros(shape), free, count=2, radius=1, suppression_radius=2
    )
    assert not found.valid.any()
    assert found.query.shape == found.available.shape == shape
