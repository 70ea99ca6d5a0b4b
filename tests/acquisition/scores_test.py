import jax
import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax import acquisition

PIXEL_SCORES = [
    acquisition.softmax_entropy,
    acquisition.least_confidence,
    acquisition.margin,
    acquisition.best_versus_second,
]
TWO = [
    acquisition.discrepancy_map,
    acquisition.inconsistency_mask,
    acquisition.prediction_change,
]
WINDOW_SCORES = [
    acquisition.region_impurity,
    acquisition.prediction_uncertainty,
    acquisition.ripu,
]


def _softmax(logits):
    logits = np.asarray(logits, np.float64)
    exponent = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponent / exponent.sum(axis=-1, keepdims=True)


def _entropy(shares):
    return -(shares * np.log(shares + 1e-6)).sum(axis=-1) / np.log(shares.shape[-1])


def _pixel_twin(name, logits):
    p = _softmax(logits)
    first, second = np.moveaxis(np.sort(p, axis=-1)[..., :-3:-1], -1, 0)
    return {
        "softmax_entropy": _entropy(p),
        "least_confidence": 1 - first,
        "margin": 1 - (first - second),
        "best_versus_second": second / first,
    }[name]


def _windows_of(image, radius):
    height, width = image.shape[:2]
    for y in range(height):
        for x in range(width):
            rows = slice(max(y - radius, 0), y + radius + 1)
            columns = slice(max(x - radius, 0), x + radius + 1)
            yield y, x, image[rows, columns]


def _window_twin(name, logits, radius):
    height, width, num_classes = logits.shape
    impurity, uncertainty = np.zeros((2, height, width))
    for y, x, window in _windows_of(np.argmax(logits, axis=-1), radius):
        shares = np.bincount(window.ravel(), minlength=num_classes) / window.size
        impurity[y, x] = _entropy(shares)
    for y, x, window in _windows_of(_entropy(_softmax(logits)), radius):
        uncertainty[y, x] = window.mean()
    return {
        "region_impurity": impurity,
        "prediction_uncertainty": uncertainty,
        "ripu": impurity * uncertainty,
    }[name]


def _logits(kind, shape):
    rng = np.random.default_rng(0)
    return {
        "random": lambda: rng.normal(size=shape) * 2,
        "tied": lambda: rng.integers(0, 2, shape),
        "constant": lambda: np.full(shape, 3.5),
        "extreme": lambda: rng.choice([-1e4, 0.0, 1e4], shape),
    }[kind]().astype(np.float32)


KINDS = ["random", "tied", "constant", "extreme"]


@pytest.mark.parametrize("score", PIXEL_SCORES, ids=lambda score: score.__name__)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(2, 7, 5, 19), (1, 1, 1, 2)], ids=str)
def test_pixel_scores_equal_numpy(score, kind, shape):
    logits = _logits(kind, shape)
    found = score(logits)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, _pixel_twin(score.__name__, logits), atol=2e-6)


@pytest.mark.parametrize("score", WINDOW_SCORES, ids=lambda score: score.__name__)
@pytest.mark.parametrize(
    ("radius", "shape"),
    [(0, (9, 14, 5)), (1, (9, 14, 5)), (3, (9, 14, 5)), (40, (9, 14, 4)), (1, (1, 1, 3))],
    ids=str,
)
def test_window_scores_equal_numpy(score, radius, shape):
    for kind in KINDS:
        logits = _logits(kind, shape)
        found = score(logits, radius)
        assert found.dtype == jnp.float32
        np.testing.assert_allclose(found, _window_twin(score.__name__, logits, radius), atol=3e-6)


def test_window_counts_need_more_than_16_bits():
    # 70,000 pixels in a window: classes no longer share an integer.
    logits = _logits("random", (280, 250, 3))
    shares = np.bincount(np.argmax(logits, axis=-1).ravel(), minlength=3) / 70_000
    impurity = acquisition.region_impurity(logits, 280)
    np.testing.assert_allclose(impurity, np.full((280, 250), _entropy(shares)), atol=1e-6)


def test_among_pure_windows_the_least_uncertain_wins():
    confident, unsure = [9.0, 0.0, 0.0], [1.0, 0.0, 0.0]
    logits = np.float32([[confident] * 6 + [unsure] * 6] * 5)
    score = np.asarray(acquisition.ripu(logits, 1))
    assert (score < 0).all()
    assert score[2, 2] > score[2, 9]
    # The share in a pure window is exactly 1, also where the border clips it.
    impurity = np.asarray(acquisition.region_impurity(logits, 1))
    assert len(np.unique(impurity)) == 1


def test_batches_of_any_rank_equal_single_images():
    logits = _logits("random", (2, 3, 6, 5, 4))
    for score in (acquisition.region_impurity, acquisition.prediction_uncertainty):
        batch = score(logits, 1)
        mapped = jax.vmap(jax.vmap(lambda image, score=score: score(image, 1)))(logits)
        assert batch.shape == (2, 3, 6, 5)
        np.testing.assert_allclose(batch[1, 2], score(logits[1, 2], 1), atol=1e-6)
        np.testing.assert_allclose(mapped, batch, atol=1e-6)


def test_scores_work_under_shard_map():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("batch",))
    spec = jax.sharding.PartitionSpec("batch")
    logits = _logits("random", (2, 6, 5, 4))
    sharded = jax.shard_map(
        lambda logits: acquisition.ripu(logits, 1), mesh=mesh, in_specs=spec, out_specs=spec
    )
    np.testing.assert_allclose(jax.jit(sharded)(logits), acquisition.ripu(logits, 1), atol=1e-6)


def test_low_precision_logits_are_scored_in_float32():
    logits = jnp.asarray(_logits("random", (4, 4, 5)), jnp.bfloat16)
    widened = logits.astype(jnp.float32)
    for score in PIXEL_SCORES:
        np.testing.assert_array_equal(score(logits), score(widened))
    found = acquisition.ripu(logits, 1)
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, acquisition.ripu(widened, 1))


@pytest.mark.parametrize(
    "score",
    [
        *PIXEL_SCORES,
        lambda logits: acquisition.ripu(logits, 1),
        lambda logits: acquisition.discrepancy_map(logits, logits[::-1]),
    ],
    ids=[*(each.__name__ for each in PIXEL_SCORES), "ripu", "discrepancy_map"],
)
def test_gradients_are_finite(score):
    gradient = jax.jit(jax.grad(lambda logits: score(logits).sum()))
    for kind in KINDS:
        assert np.isfinite(gradient(_logits(kind, (5, 6, 4)))).all()


@pytest.mark.parametrize("shape", [(2, 0, 5), (0, 4, 5)])
@pytest.mark.parametrize("score", [acquisition.region_impurity, acquisition.ripu])
def test_no_image_and_one_without_pixels_have_no_scores(score, shape):
    logits = jnp.zeros((*shape, 3))
    assert score(logits, 1).shape == shape
    assert acquisition.halo(jnp.zeros(shape), logits, 1).shape == shape
    assert acquisition.bald(logits[None]).shape == shape


def test_impurity_has_no_gradient_and_uncertainty_has():
    logits = _logits("random", (5, 6, 4))
    assert not jax.grad(lambda x: acquisition.region_impurity(x, 1).sum())(logits).any()
    assert jax.grad(lambda x: acquisition.prediction_uncertainty(x, 1).sum())(logits).any()


def test_memory_stays_below_the_logits():
    logits = jax.ShapeDtypeStruct((1, 128, 256, 19), jnp.float32)
    size = 128 * 256 * 19 * 4
    for radius in (1, 32):
        memory = acquisition.ripu.lower(logits, radius).compile().memory_analysis()
        assert memory.temp_size_in_bytes < size


def test_two_heads_are_compared():
    a, b = _logits("random", (2, 2, 6, 7, 5))
    b[0, 0, 0] = a[0, 0, 0] * 1.5
    expected = np.argmax(a, axis=-1) != np.argmax(b, axis=-1)
    mask = acquisition.inconsistency_mask(a, b)
    assert mask.dtype == jnp.bool_
    np.testing.assert_array_equal(mask, expected)
    assert not mask[0, 0, 0]
    discrepancy = np.abs(_softmax(a) - _softmax(b)).sum(axis=-1)
    np.testing.assert_allclose(acquisition.discrepancy_map(a, b), discrepancy, atol=2e-6)


def test_equal_heads_are_consistent():
    logits = _logits("tied", (3, 4, 5))
    assert not acquisition.inconsistency_mask(logits, logits).any()
    np.testing.assert_allclose(acquisition.discrepancy_map(logits, logits), 0.0, atol=1e-6)


def test_random_score_depends_on_the_key_only():
    key = jax.random.key(0)
    score = acquisition.random_score(key, (2, 3, 4))
    assert score.shape == (2, 3, 4)
    np.testing.assert_array_equal(score, acquisition.random_score(key, (2, 3, 4)))
    assert (score != acquisition.random_score(jax.random.key(1), (2, 3, 4))).any()


@pytest.mark.parametrize(
    "score",
    [
        *(*PIXEL_SCORES, *WINDOW_SCORES, acquisition.bald),
        *(acquisition.data_uncertainty, acquisition.distribution_uncertainty),
        *TWO,
    ],
    ids=lambda score: score.__name__,
)
def test_one_class_is_refused(score):
    arguments = (1,) if score in WINDOW_SCORES else ()
    if score in TWO:
        arguments = (jnp.zeros((3, 4, 1)),)
    with pytest.raises(ValueError, match="at least 2 classes"):
        score(jnp.zeros((3, 4, 1)), *arguments)


@pytest.mark.parametrize("score", WINDOW_SCORES, ids=lambda score: score.__name__)
def test_wrong_windows_are_explained(score):
    with pytest.raises(ValueError, match="radius must be 0 or more, got -1"):
        score(jnp.zeros((3, 4, 2)), -1)
    with pytest.raises(ValueError, match=r"f32\[\.\.\., H, W, C\]"):
        score(jnp.zeros((4, 2)), 1)
    with pytest.raises(TypeError, match="integer"):
        score(jnp.zeros((3, 4, 2)), 0.5)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_that_is_not_above_0_is_refused(temperature):
    with pytest.raises(ValueError, match=f"temperature must be above 0, got {temperature}"):
        acquisition.best_versus_second(jnp.zeros((3, 4, 2)), temperature)
    with pytest.raises(ValueError, match=f"temperature must be above 0, got {temperature}"):
        acquisition.pixbal(jnp.zeros((3, 4, 2)), jnp.zeros(2), temperature)


def test_heads_of_different_shape_are_refused():
    for compare in (acquisition.inconsistency_mask, acquisition.discrepancy_map):
        with pytest.raises(ValueError, match="one shape"):
            compare(jnp.zeros((2, 3, 4)), jnp.zeros((2, 3, 5)))


def test_pixbal_weighs_the_predicted_class():
    logits = _logits("random", (3, 7, 5))
    shares = np.float32([0.5, 0.2, 0.2, 0.1, 0])
    p = _softmax(logits / 0.1)
    first, second = np.moveaxis(np.sort(p, axis=-1)[..., :-3:-1], -1, 0)
    expected = second / first / (6 * shares[np.argmax(logits, -1)] + 1) ** 2
    found = acquisition.pixbal(logits, jnp.asarray(shares))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-7)
    with pytest.raises(ValueError, match="one of a class"):
        acquisition.pixbal(logits, jnp.asarray(shares[:3]))


def test_the_change_of_a_prediction_is_one_minus_the_cosine():
    first, now = _logits("random", (2, 3, 7, 5))
    p, q = _softmax(first), _softmax(now)
    cosine = (p * q).sum(-1) / np.linalg.norm(p, axis=-1) / np.linalg.norm(q, axis=-1)
    found = acquisition.prediction_change(first, now)
    np.testing.assert_allclose(found, 1 - cosine, rtol=1e-4, atol=1e-6)
    assert not acquisition.prediction_change(now, now).any()
    with pytest.raises(ValueError, match="one shape"):
        acquisition.prediction_change(first, now[:2])


@pytest.mark.parametrize("kind", KINDS)
def test_bald_is_the_entropy_that_single_samples_do_not_have(kind):
    samples = _logits(kind, (4, 3, 7, 5))
    p = np.maximum(_softmax(samples), 1e-300)
    mean = p.mean(0)
    expected = -(mean * np.log(mean)).sum(-1) + (p * np.log(p)).sum(-1).mean(0)
    found = acquisition.bald(samples)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(acquisition.bald(samples[:1]), 0, atol=1e-5)
    with pytest.raises(ValueError, match="logit_samples"):
        acquisition.bald(samples[:0])


def test_bald_takes_a_class_that_is_ruled_out():
    samples = _logits("random", (4, 3, 7, 5))
    ruled_out = np.concatenate([samples, np.full((4, 3, 7, 1), -np.inf, np.float32)], axis=-1)
    found = acquisition.bald(ruled_out)
    np.testing.assert_allclose(found, acquisition.bald(samples), atol=1e-6)
    certain = jnp.float32([[120, 0, -1], [60, 0, 1]])
    for each in (certain, ruled_out):
        assert np.isfinite(jax.grad(lambda logits: acquisition.bald(logits).sum())(each)).all()


def test_halo_is_the_product_of_what_is_scaled_to_the_image():
    logits = _logits("random", (2, 7, 5, 4))
    radii = np.random.default_rng(1).uniform(1, 9, (2, 7, 5)).astype(np.float32)
    found = acquisition.halo(radii, logits, 1)
    for image in range(2):
        uncertainty = _window_twin("prediction_uncertainty", logits[image], 1)
        factors = [
            (each - each.min()) / (each.max() - each.min()) for each in (radii[image], uncertainty)
        ]
        np.testing.assert_allclose(found[image], factors[0] * factors[1], rtol=1e-4, atol=1e-5)
    assert not acquisition.halo(np.ones_like(radii), logits, 1).any()
    least, most = np.argmin(radii[0]), np.argmax(radii[0])
    other = next(place for place in range(radii[0].size) if place not in (least, most))
    broken = radii.copy()
    broken[0].flat[other] = np.nan
    single = acquisition.halo(broken, logits, 1)
    assert np.argwhere(np.isnan(single)).tolist() == [[0, other // 5, other % 5]]
    np.testing.assert_array_equal(np.nan_to_num(single - found), 0)
    with pytest.raises(ValueError, match="one a pixel"):
        acquisition.halo(radii[0], logits, 1)
