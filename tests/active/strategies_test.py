import math

import jax
import numpy as np
import pytest

from labor_jax import acquisition, ops
from labor_jax.active import strategies
from tests.active.acquisition_config import acquisition_config
from tests.slow import all_but

SHAPE = (12, 15)
POINTS = 10  # over 3 rounds
POINTS_A_ROUND = 4

REGIONS = {
    "ripu_ra": lambda image, radius: acquisition.ripu(image.logits, radius),
    "impurity": lambda image, radius: acquisition.region_impurity(image.logits, radius),
    "uncertainty": lambda image, radius: acquisition.prediction_uncertainty(image.logits, radius),
    "random_regions": lambda image, _: acquisition.random_score(image.key, SHAPE),
}
SINGLE_PIXELS = [
    *("random", "entropy", "least_confidence", "margin", "core_set", "ripu_pa", "ripu_pa_code"),
    *("max_herding", "bald", "duc", "pixel_pick"),
]
IMAGES = [m for m, each in acquisition.METHODS.items() if each.asks == "images"]
PICKED_BY_THE_MODEL = [m for m in acquisition.METHODS if m != "human_points"]
FAST = ("spl", "ppl", "ripu_ra", "margin", "core_set", "multi_hot", "corrections", "image_entropy")


@pytest.fixture(scope="module")
def image():
    keys = jax.random.split(jax.random.key(0), 5)
    logits, first, second = (jax.random.normal(key, (*SHAPE, 5)) for key in keys[:3])
    available = jax.random.uniform(keys[3], SHAPE) < 0.95
    return acquisition.PoolImage(
        logits=logits,
        features=jax.random.normal(keys[4], (3, 4, 6)),
        selector_logits=(first, second),
        available=available,
        key=jax.random.key(1),
        image=jax.random.uniform(keys[3], (*SHAPE, 3), maxval=255),
        first_logits=first,
        radii=jax.random.uniform(keys[4], SHAPE),
        logit_samples=jax.numpy.stack([logits, first, second]),
    )


def _build(method, rounds=3, **settings):
    return strategies.build(acquisition_config(method, **settings), rounds)


def _budget_of(method):
    if acquisition.method(method).budget == "superpixels":
        return {"points": 12, "superpixel_size": 4}
    shares = ("points", "regions", "images")
    return {"fraction": 0.3} if acquisition.method(method).budget in shares else {}


def _ask(image, method, rounds=3, **settings):
    return jax.jit(_build(method, rounds, **settings))(image)


@pytest.mark.parametrize(
    ("method", "score"),
    [
        ("entropy", acquisition.softmax_entropy),
        ("least_confidence", acquisition.least_confidence),
        ("margin", acquisition.margin),
        ("corrections", acquisition.softmax_entropy),
    ],
)
def test_scores_ask_their_best_points(image, method, score):
    query = _ask(image, method, points=POINTS)
    best = acquisition.select_points(score(image.logits), image.available, count=POINTS_A_ROUND)
    np.testing.assert_array_equal(query.pixels, best.query)
    np.testing.assert_array_equal(query.candidates, image.available)


@pytest.mark.parametrize("method", all_but(("random", "duc"), SINGLE_PIXELS))
def test_a_budget_is_shared_by_the_rounds(image, method):
    settings = {"method": method, "radius": 0, "rounds": 3}
    by_share = _ask(image, fraction=0.11, **settings)
    assert by_share.pixels.sum() == by_share.picks == math.ceil(12 * 15 * 0.11 / 3)
    by_number = _ask(image, points=POINTS, **settings)
    assert by_number.pixels.sum() == by_number.picks == POINTS_A_ROUND


@pytest.mark.parametrize("method", all_but(["entropy"], ["entropy", "random_regions"]))
def test_seconds_buy_clicks_after_opening_the_image(image, method):
    """A click takes 2.4 s, and opening an image 1 s, in each of 3 rounds."""
    price = strategies.seconds_per_pick("points")
    assert price == (2.4, 1.0)
    for seconds, picks in ((3 * 8.2, 3), (3 * 8.1, 2), (3 * 3.4, 1), (3 * 3.3, 0)):
        assert _ask(image, method, seconds_per_image=seconds).picks == picks
        config = acquisition_config(method, seconds=10 * seconds)
        assert jax.jit(strategies.build(config, 3, images=10))(image).picks == picks


@pytest.mark.parametrize(
    "given", [{"points": 4, "seconds": 9.0}, {"seconds_per_image": 2, "seconds": 9}]
)
def test_seconds_are_a_budget_of_their_own(given):
    with pytest.raises(ValueError, match=r"needs one budget.*Got fraction 0\.0, points"):
        _build("entropy", **given)


def test_masks_have_no_price_of_a_click():
    with pytest.raises(ValueError, match="'mask' has no price of a pick"):
        strategies.seconds_per_pick("mask")


def test_the_pools_limit_is_what_its_images_may_ask():
    sizes = [(12, 15)] * 5 + [(9, 9)] * 2
    pixels = 5 * 12 * 15 + 2 * 81

    def limit(method, **settings):
        config = acquisition_config(method, scope="pool", **settings)
        return strategies.pool_limit(config, 3, sizes)

    assert limit("entropy", fraction=0.11) == (math.ceil(pixels * 0.11 / 3), 1, 0)
    assert limit("ripu_ra", fraction=0.11) == (math.ceil(pixels * 0.11 / 27), 1, 0)
    assert limit("entropy", points=10) == (math.ceil(7 * 10 / 3), 1, 0)
    assert limit("entropy", points=10, reference_size=(6, 10)) == (pixels * 10 // 180, 1, 0)
    assert limit("spl", max_fraction=0.11) == (math.floor(pixels * 0.11 / 3), 1, 0)
    assert limit("ripu_pa", seconds=90.0) == (30.0, 2.4, 1.0)
    assert limit("ripu_pa", seconds_per_image=30.0) == (70.0, 2.4, 1.0)


def test_a_ranking_has_the_configs_settings(image):
    config = acquisition_config("ripu_pa", points=4, radius=2, scope="pool")
    ranking = jax.jit(strategies.build_ranking(config, 5))(image)
    expected = acquisition.bind_ranking(acquisition.method("ripu_pa"), 5, radius=2)(image)
    np.testing.assert_array_equal(ranking.centers, expected.centers)


@pytest.mark.parametrize("method", all_but(("random", "duc"), SINGLE_PIXELS))
def test_points_grow_with_the_area_from_a_reference_size(image, method):
    settings = {"method": method, "radius": 0, "points": POINTS, "rounds": 3}
    found = _ask(image, reference_size=(6, 10), **settings)
    assert found.pixels.sum() == math.ceil(POINTS / 3 * 12 * 15 / (6 * 10))


def test_random_depends_on_the_images_key(image):
    first, again = (_ask(image, "random", points=POINTS).pixels for _ in range(2))
    other = _ask(image._replace(key=jax.random.key(2)), "random", points=POINTS).pixels
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_spl_asks_the_whole_inconsistency_mask_without_a_cap(image):
    query = _ask(image, "spl")
    mask = acquisition.inconsistency_mask(*image.selector_logits)
    np.testing.assert_array_equal(query.candidates, mask)
    np.testing.assert_array_equal(query.pixels, mask & image.available)


def test_spls_cap_keeps_the_largest_discrepancies(image):
    query = _ask(image, "spl", max_fraction=0.2, rounds=3)
    discrepancy = np.asarray(acquisition.discrepancy_map(*image.selector_logits))
    pixels = np.asarray(query.pixels)
    rest = np.asarray(query.candidates & image.available & ~query.pixels)
    assert pixels.sum() == 12 * 15 * 0.2 // 3
    assert discrepancy[pixels].min() >= discrepancy[rest].max()


def test_ppl_asks_one_point_of_each_class_in_the_mask(image):
    query = _ask(image, "ppl")
    predicted = np.asarray(image.logits.argmax(-1))
    mask = np.asarray(query.candidates & image.available)
    assert sorted(predicted[query.pixels]) == sorted(set(predicted[mask]))
    assert not (query.pixels & ~mask).any()


@pytest.mark.parametrize("method", REGIONS)
@pytest.mark.parametrize("radius", all_but([2], [1, 2]))
def test_regions_are_those_of_largest_score(image, method, radius):
    image = image._replace(available=np.ones(SHAPE, bool))
    query = _ask(image, method, fraction=0.5, radius=radius, rounds=2)
    best = acquisition.select_regions(
        REGIONS[method](image, radius),
        image.available,
        count=acquisition.region_count(*SHAPE, ratio=0.5, rounds=2, radius=radius),
        radius=radius,
        suppression_radius=2 * radius,
    )
    np.testing.assert_array_equal(query.pixels, best.query)


@pytest.mark.parametrize("method", REGIONS)
def test_each_region_is_a_pick_also_where_they_touch(image, method):
    query = _ask(image, method, fraction=0.5, rounds=1)
    count = acquisition.region_count(*SHAPE, ratio=0.5, rounds=1, radius=1)
    assert math.ceil(int(query.pixels.sum()) / 9) <= query.picks <= count


@pytest.mark.parametrize("method", REGIONS)
def test_regions_keep_clear_of_earlier_rounds(image, method):
    asked = np.zeros(SHAPE, bool)
    for _ in range(2):
        query = _ask(image._replace(available=~asked), method, fraction=0.2, rounds=2)
        assert query.pixels.any()
        assert not (query.pixels & asked).any()
        asked |= np.asarray(query.pixels)
    assert asked.sum() <= 2 * 9 * acquisition.region_count(*SHAPE, ratio=0.2, rounds=2, radius=1)


@pytest.mark.parametrize("method", all_but(["superpixels"], ["superpixels", "multi_hot"]))
def test_superpixels_are_asked_as_far_as_they_are_free(image, method):
    query = _ask(image, method, points=POINTS, superpixel_size=4)
    assert query.picks == POINTS_A_ROUND == len(np.unique(query.parts[query.pixels]))
    assert (np.diff(np.asarray(query.scores)) <= 0).all()
    np.testing.assert_array_equal(query.parts >= 0, query.pixels)
    later = _ask(
        image._replace(available=image.available & ~query.pixels),
        method,
        points=POINTS,
        superpixel_size=4,
    )
    assert later.pixels.any() and not (later.pixels & query.pixels).any()


@pytest.mark.parametrize("method", ["superpixels", "multi_hot"])
def test_a_broken_pixel_does_not_decide_which_superpixels_are_asked(image, method):
    logits = jax.numpy.asarray(image.logits).at[0, 0].set(np.nan)
    image = image._replace(logits=logits, first_logits=logits)
    scores = np.asarray(_ask(image, method, points=POINTS, superpixel_size=4).scores)
    assert (scores > 0).all()  # also in the first round, where entropy decides


@pytest.mark.parametrize("method", ["superpixels", "multi_hot"])
def test_superpixels_go_by_scores_times_the_weights_of_classes(image, method):
    image = image._replace(available=np.ones(SHAPE, bool))
    counts = np.array([50, 0, 25, 20, 5])
    weights = acquisition.class_weights_from_predictions(counts)
    query = jax.jit(_build(method, points=POINTS, superpixel_size=4))(image, weights)
    if method == "superpixels":
        score = acquisition.prediction_change(image.first_logits, image.logits)
        score = np.asarray(score) * weights[np.argmax(image.logits, axis=-1)]
    else:
        score = np.asarray(acquisition.pixbal(image.logits, counts / counts.sum()))
    parts = np.asarray(ops.slic(image.image, size=4, compactness=10.0, iterations=5))
    means = sorted((score[parts == part].mean() for part in np.unique(parts)), reverse=True)
    assert query.picks == POINTS_A_ROUND < len(means)
    np.testing.assert_allclose(query.scores[:POINTS_A_ROUND], means[:POINTS_A_ROUND], rtol=1e-5)


def test_superpixels_go_by_what_has_changed(image):
    rows, columns = np.indices(SHAPE)
    # Only what the model says of one corner has changed.
    corner = (rows < 4) & (columns < 4)
    image = image._replace(
        logits=jax.numpy.where(corner[..., None], image.first_logits[::-1], image.first_logits)
    )
    settings = {"superpixel_size": 4, "superpixel_compactness": 500.0, "points": 3}
    query = _ask(image, "superpixels", **settings)
    assert (query.pixels & corner).sum() > (query.pixels & ~corner).sum()
    # In the first round nothing has changed, and entropy decides.
    image = image._replace(logits=jax.numpy.where(corner[..., None], 0.0, 9 * image.first_logits))
    image = image._replace(first_logits=image.logits)
    query = _ask(image, "superpixels", **settings)
    assert (query.pixels & corner).sum() > (query.pixels & ~corner).sum()


@pytest.mark.parametrize("method", IMAGES)
def test_whole_images_are_asked_by_one_score(image, method):
    query = _ask(image, method, fraction=0.3)
    np.testing.assert_array_equal(query.pixels, image.available)
    assert query.scores.shape == (1,)
    if method == "image_core_set":
        np.testing.assert_allclose(query.vector, image.features.mean(axis=(0, 1)), rtol=1e-5)
    else:
        assert 0 < query.scores[0] < 1 and query.vector is None
    half = np.arange(math.prod(SHAPE)).reshape(SHAPE) % 2 == 0
    assert np.isfinite(_ask(image._replace(available=half), method, fraction=0.3).scores[0])
    half[0, 0] = False  # more than half is labelled
    for left in (half, np.zeros(SHAPE, bool)):
        labelled = _ask(image._replace(available=left), method, fraction=0.3)
        assert np.isneginf(labelled.scores[0])


def test_halo_keeps_its_regions_well_apart_in_all_rounds(image):
    first = _ask(image, "halo", fraction=0.2, rounds=2)
    later = _ask(
        image._replace(available=image.available & ~first.pixels), "halo", fraction=0.2, rounds=2
    )
    best = acquisition.select_regions(
        acquisition.halo(image.radii, image.logits, 1),
        acquisition.clear_of_asked(image.available, 4),
        count=2,
        radius=1,
        suppression_radius=5,
    )
    np.testing.assert_array_equal(first.pixels, best.query & image.available)
    rows, columns = (np.argwhere(each.pixels) for each in (first, later))
    for place in columns:
        assert np.abs(rows - place).max(axis=1).min() > 3


def test_ripu_points_keep_their_distance(image):
    rows, columns = np.nonzero(_ask(image, "ripu_pa", points=POINTS, radius=2).pixels)
    assert 1 < len(rows) <= POINTS_A_ROUND
    for i in range(len(rows)):
        distances = np.maximum(abs(rows - rows[i]), abs(columns - columns[i]))
        assert (np.delete(distances, i) > 2).all()


def test_core_set_goes_by_features_and_by_what_was_asked(image):
    query = _ask(image, "core_set", points=POINTS)
    chosen = acquisition.select_core_set(image.features, image.available, count=POINTS_A_ROUND)
    np.testing.assert_array_equal(query.pixels, chosen.query)


def test_all_asks_what_is_left(image):
    np.testing.assert_array_equal(_ask(image, "all").pixels, image.available)


@pytest.mark.parametrize("method", all_but(FAST, PICKED_BY_THE_MODEL))
def test_no_pixel_is_asked_that_is_not_available(image, method):
    query = _ask(image, method, **_budget_of(method))
    assert query.pixels.any()
    assert not (query.pixels & ~image.available).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "rippu"}, "choose one of: spl, ppl"),
        ({"method": "entropy", "fraction": 1.5}, "a share from 0 to 1"),
        ({"method": "uncertainty", "fraction": -0.5}, "a share from 0 to 1"),
        ({"method": "margin", "points": -1}, "points is -1; it can't be negative"),
        ({"method": "impurity", "fraction": 0.1, "radius": -1}, "radius is -1; it can't be"),
        ({"method": "ripu_pa", "points": 4, "radius": -1}, "radius is -1; it can't be"),
        (
            {"method": "core_set", "points": 4, "reference_size": (0, 9)},
            r"reference_size is \(0, 9",
        ),
        ({"method": "spl", "max_fraction": -0.1}, "a share from 0 to 1"),
        ({"method": "margin", "seconds": -1.0}, "seconds is -1.0; it can't be negative"),
        ({"method": "margin", "seconds_per_image": math.inf}, "it can't be infinite"),
        ({"method": "margin", "points": 1, "scope": "pol"}, "scope is 'pol'; choose one of: image"),
        ({"method": "margin", "points": 1, "class_weights": "no"}, "'no'; choose one of: none, an"),
        ({"method": "human_points", "class_weights": "answers"}, "the annotator picks what human"),
        ({"method": "spl", "class_weights": "predicted"}, "'predicted', but without config.acq"),
        ({"method": "spl", "scope": "pool"}, "without config.acquisition.max_fraction spl asks"),
        ({"method": "ppl", "scope": "pool"}, "ppl asks without a budget that images could share"),
        ({"method": "human_points", "scope": "pool"}, "without a budget that images could share"),
    ],
)
def test_impossible_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        _build(**settings)


@pytest.mark.parametrize("method", SINGLE_PIXELS)
@pytest.mark.parametrize("given", [{}, {"fraction": 0.1, "points": 4}])
def test_single_pixels_need_exactly_one_budget(method, given):
    message = f"{method} asks (points|corrections); it needs one budget.*fraction, .*points, "
    with pytest.raises(ValueError, match=message):
        _build(method, **given)


@pytest.mark.parametrize("method", REGIONS)
@pytest.mark.parametrize("given", [{}, {"points": 4}, {"fraction": 0.1, "points": 4}])
def test_regions_need_a_fraction(method, given):
    with pytest.raises(ValueError, match=rf"{method} asks regions.*Got fraction 0\.[01]+, points"):
        _build(method, **given)


def test_only_labor_needs_the_selector():
    found = [m for m in acquisition.METHODS if "selector_logits" in strategies.method(m).reads]
    assert found == ["spl", "ppl", "image_inconsistency"]


@pytest.mark.parametrize("method", PICKED_BY_THE_MODEL)
def test_a_missing_field_is_named(image, method):
    budget = _budget_of(method)
    for field in set(acquisition.method(method).reads) - {"available"}:
        with pytest.raises(ValueError, match=f"'{method}' reads {field}, which is not given"):
            _build(method, **budget)(image._replace(**{field: None}))


def test_the_annotator_picks_human_points_without_a_budget():
    found = [m for m in acquisition.METHODS if strategies.method(m).picked_by_annotator]
    assert found == ["human_points"]
    assert _build("human_points") is None


@pytest.mark.parametrize("method", ["spl", "ppl", "human_points", "all"])
@pytest.mark.parametrize("field", ["fraction", "points", "seconds", "seconds_per_image"])
def test_a_budget_that_a_method_does_not_take_is_refused(method, field):
    with pytest.raises(ValueError, match=rf"acquisition\.{field} is 1.* {method} asks"):
        _build(method, **{field: 1})


def test_who_answers_what():
    kinds = {method: strategies.method(method).asks for method in acquisition.METHODS}
    assert len(IMAGES) == 5
    assert kinds == {
        **dict.fromkeys([*SINGLE_PIXELS, "ppl", "human_points"], "points"),
        **dict.fromkeys([*REGIONS, "halo"], "regions"),
        **dict.fromkeys(IMAGES, "images"),
        "superpixels": "superpixels",
        "multi_hot": "classes",
        "corrections": "corrections",
        "spl": "mask",
        "all": "full",
    }


def test_unknown_methods_are_named():
    with pytest.raises(
        ValueError, match=r"acquisition\.method is 'rippu'; choose one of: spl, ppl"
    ):
        strategies.method("rippu")


@pytest.fixture
def registered():
    """Registers functions for one test, as a user's own file would."""
    names = []

    def register(name, **settings):
        names.append(name)
        return acquisition.register(name, **settings)

    yield register
    for name in names:
        acquisition.METHODS.pop(name, None)


def test_a_users_score_is_a_method(image, registered):
    @registered("largest_logit")
    def largest_logit(logits):
        return -logits.max(axis=-1)

    query = _ask(image, "largest_logit", points=POINTS)
    best = acquisition.select_points(
        largest_logit(image.logits), image.available, count=POINTS_A_ROUND
    )
    np.testing.assert_array_equal(query.pixels, best.query)
    asked = acquisition.query(
        image.logits[None], "largest_logit", points=POINTS_A_ROUND, available=image.available[None]
    )
    np.testing.assert_array_equal(asked[0], best.query)


def test_a_setting_of_a_users_function_comes_from_the_config(image, registered):
    @registered("scaled", asks="full")
    def scaled(logits, distance="euclidean", threshold=0.0):
        assert distance == "cosine"
        return logits[..., 0] > threshold

    config = acquisition_config("scaled", threshold=1.0, distance="cosine")
    pixels = strategies.build(config, 1)(image).pixels
    np.testing.assert_array_equal(pixels, (image.logits[..., 0] > 1.0) & image.available)


def test_a_setting_that_ppl_has_too_may_have_other_values(registered):
    @registered("far")
    def far(logits, distance="euclidean"):
        """Never called."""

    assert strategies.check(acquisition_config("far", points=4, distance="manhattan")).name == "far"
