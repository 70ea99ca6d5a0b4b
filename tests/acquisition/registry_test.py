import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax import acquisition
from labor_jax.acquisition.registry import GENERAL_FIELDS, METHODS
from labor_jax.config import base_config

IMAGE = acquisition.PoolImage(
    logits=jax.random.normal(jax.random.key(0), (6, 7, 3)),
    features=jnp.ones((2, 2, 4)),
    selector_logits=None,
    available=jax.random.uniform(jax.random.key(1), (6, 7)) < 0.8,
    key=jax.random.key(2),
)


@pytest.fixture(autouse=True)
def _keep_the_registry():
    names = set(METHODS)
    yield
    for name in set(METHODS) - names:
        del METHODS[name]


LIMITS = {
    "points": acquisition.Budget(points=4),
    "regions": acquisition.Budget(fraction=0.5),
    "superpixels": acquisition.Budget(points=2),
}


def _ask(function, *, limit=None, settings=None, radius=1, **registration):
    acquisition.register("mine", **registration)(function)
    method = acquisition.method("mine")
    strategy = acquisition.bind(
        method,
        limit or LIMITS.get(method.budget, acquisition.Budget()),
        radius=radius,
        settings=settings,
    )
    return jax.jit(strategy)(IMAGE)


def test_register_returns_the_function_and_records_what_it_reads():
    def function(logits, features, key, radius, count, temperature=2.0):
        """Never called."""

    assert acquisition.register("mine", asks="regions")(function) is function
    method = acquisition.method("mine")
    assert (method.asks, method.budget) == ("regions", "regions")
    assert method.reads == ("features", "key")
    assert method.settings == {"temperature": 2.0}
    assert not method.picked_by_annotator


def test_a_score_of_points_asks_the_best_ones():
    query = _ask(lambda logits: logits[..., 0])
    best = acquisition.select_points(IMAGE.logits[..., 0], IMAGE.available, count=4)
    np.testing.assert_array_equal(query.pixels, best.query)
    assert query.picks == 4


def test_a_score_of_regions_asks_windows_that_keep_clear_of_what_was_asked():
    query = _ask(
        lambda logits: logits[..., 0],
        asks="regions",
        limit=acquisition.Budget(fraction=0.5, rounds=2),
    )
    best = acquisition.select_regions(
        IMAGE.logits[..., 0],
        acquisition.clear_of_asked(IMAGE.available, 1),
        count=acquisition.region_count(6, 7, ratio=0.5, rounds=2, radius=1),
        radius=1,
        suppression_radius=2,
    )
    np.testing.assert_array_equal(query.pixels, best.query & IMAGE.available)


def test_a_mask_asks_what_of_it_is_available():
    query = _ask(lambda logits: logits[..., 0] > 0, asks="mask")
    np.testing.assert_array_equal(query.pixels, (IMAGE.logits[..., 0] > 0) & IMAGE.available)
    assert query.picks == -1


@pytest.mark.parametrize(
    ("budget", "limit"),
    [("cap", acquisition.Budget(fraction=0.1)), ("points", acquisition.Budget(points=4))],
)
def test_a_mask_without_an_order_is_not_cut_to_a_budget(budget, limit):
    with pytest.raises(ValueError, match="ScoredPixels, as its budget of 4 pixels needs their"):
        _ask(lambda logits: logits[..., 0] > 0, asks="mask", budget=budget, limit=limit)


def test_a_mask_selection_has_no_picks():
    def select(logits, available, count):
        score = logits[..., 0]
        return acquisition.select_inconsistent(score > 0, score, available, max_pixels=count)

    query = _ask(select, asks="mask", budget="cap", limit=acquisition.Budget(fraction=0.1))
    assert (query.picks, query.pixels.sum()) == (-1, 4)


def test_a_selection_and_a_query_are_taken_as_they_are():
    def select(logits, available, count):
        return acquisition.select_points(logits[..., 1], available, count=count)

    selected = _ask(select)
    assert selected.picks == selected.pixels.sum() == 4
    del METHODS["mine"]
    everything = jnp.ones((6, 7), bool)
    query = _ask(lambda available: acquisition.Query(everything, jnp.int32(5), everything))
    np.testing.assert_array_equal(query.pixels, IMAGE.available)
    assert query.picks == 5


@pytest.mark.parametrize("asks", ["points", "corrections"])
def test_points_are_parts_in_the_order_of_their_scores(asks):
    query = _ask(lambda logits: logits[..., 0], asks=asks)
    best = acquisition.select_points(IMAGE.logits[..., 0], IMAGE.available, count=4)
    expected = np.full((6, 7), -1)
    for rank, (row, column) in enumerate(np.asarray(best.centers)):
        expected[row, column] = rank
        assert query.scores[rank] == IMAGE.logits[row, column, 0]
    np.testing.assert_array_equal(query.parts, expected)


def test_regions_are_parts_without_what_was_asked_before():
    query = _ask(lambda logits: logits[..., 0], asks="regions")
    best = acquisition.select_regions(
        IMAGE.logits[..., 0],
        acquisition.clear_of_asked(IMAGE.available, 1),
        count=query.scores.size,
        radius=1,
        suppression_radius=2,
    )
    expected = np.full((6, 7), -1)
    for rank, (row, column) in enumerate(np.asarray(best.centers)[np.asarray(best.valid)]):
        expected[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = rank
    expected[~np.asarray(IMAGE.available)] = -1
    np.testing.assert_array_equal(query.parts, expected)
    rows, columns = best.centers[: query.picks].T
    np.testing.assert_array_equal(query.scores[: query.picks], IMAGE.logits[rows, columns, 0])
    assert np.isneginf(query.scores[query.picks :]).all()


def test_a_selection_without_scores_is_in_parts_all_the_same():
    def select(logits, available):
        probabilities = jax.nn.softmax(logits)
        return acquisition.select_representative_points(available, probabilities)

    query = _ask(select, budget="own")
    assert query.scores is None
    assert sorted(query.parts[query.pixels].tolist()) == list(range(query.picks))


def test_a_query_of_corrections_needs_parts():
    def select(available):
        return acquisition.Query(available, jnp.int32(3), available)

    with pytest.raises(ValueError, match="a Selection or a Query with parts"):
        _ask(select, asks="corrections")


def test_masks_have_no_parts():
    query = _ask(lambda logits: logits[..., 0] > 0, asks="mask")
    assert query.parts is None and query.scores is None


@pytest.mark.parametrize("asks", ["superpixels", "classes"])
def test_superpixels_lose_the_pixels_that_are_not_available(asks):
    whole = jnp.arange(42, dtype=jnp.int32).reshape(6, 7) // 14

    def halves(logits, count):
        score = acquisition.superpixel_means(logits[..., 0], whole, bound=3)
        return acquisition.select_superpixels(score, whole, jnp.ones((6, 7), bool), count=count)

    query = _ask(halves, asks=asks)
    assert acquisition.method("mine").budget == "superpixels"
    assert query.picks == 2
    np.testing.assert_array_equal(query.parts >= 0, query.pixels)
    assert not (query.pixels & ~IMAGE.available).any()
    values = np.asarray(IMAGE.logits[..., 0])
    least = np.argmin([values[whole == number].mean() for number in range(3)])
    np.testing.assert_array_equal(query.pixels, (whole != least) & IMAGE.available)


def test_a_score_of_the_image_asks_all_of_it():
    query = _ask(lambda logits: logits.mean(), asks="images")
    np.testing.assert_array_equal(query.pixels, IMAGE.available)
    assert query.picks == -1
    assert query.scores == pytest.approx([float(IMAGE.logits.mean())])


def test_counts_radius_and_settings_are_passed_by_name():
    found = {}

    def function(*, available, count, radius, reach="near", other=7):
        found.update(count=count, radius=radius, reach=reach, other=other)
        return acquisition.Query(available, jnp.int32(0), available)

    _ask(function, asks="mask", radius=3, settings={"reach": "far"})
    assert found == {"count": None, "radius": 3, "reach": "far", "other": 7}
    del METHODS["mine"]
    _ask(function, asks="mask", budget="cap", limit=acquisition.Budget(fraction=0.5, rounds=2))
    assert found["count"] == acquisition.pixel_cap(6, 7, fraction=0.5, rounds=2)


def test_wrapped_functions_can_be_registered():
    score = functools.partial(acquisition.ripu, radius=1)
    query = _ask(jax.jit(lambda logits: score(logits)))
    best = acquisition.select_points(score(IMAGE.logits), IMAGE.available, count=4)
    np.testing.assert_array_equal(query.pixels, best.query)


def test_a_setting_cannot_have_the_name_of_a_general_field():
    def function(logits, samples=32):
        """Never called."""

    with pytest.raises(ValueError, match=r"'mine' has a setting 'samples'.*acquisition\.samples"):
        acquisition.register("mine")(function)
    assert "mine" not in METHODS
    settings = {name for method in METHODS.values() for name in method.settings}
    assert set(GENERAL_FIELDS) == set(base_config().acquisition) - settings


def test_methods_share_a_setting_if_their_defaults_are_equal():
    def function(logits, distance=2.0):
        """Never called."""

    with pytest.raises(ValueError, match=r"'mine' and 'ppl' share.*distance.*2\.0 and 'euclidean'"):
        acquisition.register("mine")(function)
    acquisition.register("mine")(lambda logits, distance="euclidean": logits[..., 0])
    assert METHODS["mine"].settings == {"distance": "euclidean"}


def test_a_name_cannot_be_overwritten():
    with pytest.raises(ValueError, match="named 'entropy' is already registered"):
        acquisition.register("entropy")(lambda logits: logits[..., 0])


@pytest.mark.parametrize("name", ["", None, " ", "a,b", "a:b", "a+b", "a/b", "-a"])
def test_a_name_must_fit_a_command(name):
    with pytest.raises(ValueError) as raised:
        acquisition.register(name)(lambda logits: logits[..., 0])
    assert str(raised.value).startswith(f"{name!r} can't name an acquisition method; in a")
    assert name not in METHODS


@pytest.mark.parametrize("default", [np.ones(3), jnp.float32(1), (1, np.ones(3)), {1: 2}, max])
def test_a_default_must_fit_a_config(default):
    def weighted(logits, weights=default):
        """Never called."""

    with pytest.raises(ValueError, match="default of the parameter 'weights' of weighted is of"):
        acquisition.register("mine")(weighted)
    assert "mine" not in METHODS


@pytest.mark.parametrize("default", [None, True, 2, np.nan, "far", (1, ("a", 2.0)), [1], {"a": 1}])
def test_defaults_that_fit_a_config(default):
    acquisition.register("mine")(lambda logits, weights=default: logits[..., 0])
    assert METHODS["mine"].settings == {"weights": default}


def test_an_unknown_name_lists_the_methods():
    with pytest.raises(ValueError, match="method is 'rippu'; choose one of: spl, ppl, ripu_ra"):
        acquisition.method("rippu")


@pytest.mark.parametrize(
    ("function", "registration", "message"),
    [
        (lambda logit: logit, {}, "<lambda> has the parameter 'logit'.*logits, features"),
        (lambda *arrays: arrays, {}, r"the parameter '\*arrays'"),
        (lambda logits, /: logits, {}, "the parameter 'logits'"),
        (lambda logits: logits, {"asks": "pixels"}, "asks is 'pixels'; choose one of: points"),
        (lambda logits: logits, {"budget": "clicks"}, "'clicks', but .* is one of: points, own"),
        (lambda logits: logits, {"budget": "images"}, "'images', but .* asks 'points' is one of"),
        (
            lambda logits: logits,
            {"asks": "images", "budget": "points"},
            "budget is 'points', but what limits a method that asks 'images' is one of: images",
        ),
        (lambda logits: logits, {"asks": "regions", "budget": "cap"}, "one of: regions, points"),
    ],
)
def test_functions_that_cannot_be_called_are_refused(function, registration, message):
    with pytest.raises(ValueError, match=message):
        acquisition.register("mine", **registration)(function)
    assert "mine" not in METHODS


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda logits: logits[logits > 0], "NonConcreteBooleanIndexError: Array boolean indices"),
        (lambda logits: logits.maxx(axis=-1), "AttributeError: .*maxx"),
        (lambda logits: logits * {}["b"], "KeyError: 'b'"),
        (lambda logits: np.max(np.array(logits), axis=-1), "TracerArrayConversionError: "),
        (lambda logits: (_ for _ in ()).throw(AssertionError), "AssertionError"),
    ],
)
def test_any_error_of_a_function_is_a_line_that_names_it(function, says):
    culprit = "^the acquisition function <lambda> of method 'mine' fails on an image of 6x7 pixels"
    with pytest.raises(ValueError, match=f"{culprit}: {says}") as raised:
        _ask(function)
    assert "\n" not in str(raised.value) and not str(raised.value).endswith(": ")


def largest(logits):
    return logits.max(axis=-1)


def whole(logits):
    return logits


def whole_numbers(logits):
    return logits.argmax(axis=-1)


def nothing(logits):
    """Returns None."""


def small_query(available):
    return acquisition.Query(available[:2], jnp.int32(0), available[:2])


def whole_query(available):
    return acquisition.Query(available, jnp.int32(-1), available)


def wrong_parts(available):
    return acquisition.Query(available, jnp.int32(0), available, parts=available)


def far_apart(logits):
    return acquisition.ScoredPixels(logits.max(axis=-1), suppression_radius=2.5)


def below_0_apart(logits):
    return acquisition.ScoredPixels(logits.max(axis=-1), suppression_radius=-3)


@pytest.mark.parametrize(
    ("function", "registration", "message"),
    [
        (whole, {}, r"whole of method 'mine' returned float32\[6, 7, 3\] .* 6x7 .* score f32"),
        (whole_numbers, {}, r"whole_numbers .* returned int32\[6, 7\] .* a score f32"),
        (nothing, {"asks": "regions"}, r"nothing .* returned NoneType"),
        (largest, {"asks": "mask"}, r"largest .* returned float32\[6, 7\] .* a mask bool"),
        (largest, {"budget": "own"}, "largest .* a Selection or a Query, as the budget 'own'"),
        (small_query, {}, r"query of small_query must have shape \(6, 7\)"),
        (largest, {"asks": "images"}, r"largest .* returned float32\[6, 7\] .* a score f32\[\]"),
        (whole_query, {"asks": "images"}, r"whole_query .* returned Query .* a vector f32\[D\]"),
        (
            largest,
            {"asks": "classes"},
            r"largest .* returned float32\[6, 7\] .* a Query with parts",
        ),
        (far_apart, {}, r"far_apart .* suppression_radius must be an integer, got 2\.5"),
        (below_0_apart, {}, "below_0_apart .* suppression_radius must be 0 or more, got -3"),
        (wrong_parts, {}, r"wrong_parts .* returned bool\[6, 7\] .* parts int32"),
    ],
)
def test_wrong_results_name_the_function(function, registration, message):
    with pytest.raises(ValueError, match=message):
        _ask(function, **registration)
