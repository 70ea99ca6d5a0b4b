"""Label maps of windows, scales and mirror images against one view at a time."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from labor_jax import models
from labor_jax.evaluation import inference
from labor_jax.evaluation.inference import Inference
from labor_jax.ops import resize_bilinear_align_corners
from tests.tiny_model import tiny_segmenter

SEGMENTER = tiny_segmenter(7)
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 30, 44, 3), np.uint8)
SIZE = (37, 51)


@functools.cache
def variables():
    with jax.ensure_compile_time_eval():  # the first caller may be a compiled function
        return models.init_variables(SEGMENTER, jax.random.key(0), (16, 16))


@functools.partial(jax.jit, static_argnums=(1, 2))
def predict(images, size, how):
    return inference.predict_classes(SEGMENTER, variables(), images, size, how)


@functools.partial(jax.jit, static_argnums=(1, 2))
def probabilities(images, scale=1.0, mirrored=False):
    """Of one view, brought back to where the image was."""
    images = models.normalize_images(images)
    size = tuple(round(side * scale) for side in images.shape[1:3])
    images = resize_bilinear_align_corners(images, size)
    images = images[:, :, ::-1] if mirrored else images
    features = SEGMENTER.apply(variables(), images, method="extract")
    coarse = SEGMENTER.apply(variables(), features, method="coarse_logits")
    found = jax.nn.softmax(resize_bilinear_align_corners(coarse, SIZE))
    return found[:, :, ::-1] if mirrored else found


def test_scales_and_mirror_images_are_averaged():
    scales = (1.0, 1.5)
    views = [probabilities(IMAGES, each, way) for each in scales for way in (False, True)]
    expected = np.mean(views, 0).argmax(-1)
    found = predict(IMAGES, SIZE, Inference(flip=True, scales=scales))
    assert found.dtype == jnp.int32
    np.testing.assert_array_equal(found, expected)
    for one in views:
        assert (np.argmax(one, -1) != expected).any()


def test_another_scale_alone():
    found = predict(IMAGES, SIZE, Inference(scales=(0.5,)))
    np.testing.assert_array_equal(found, probabilities(IMAGES, 0.5).argmax(-1))


@pytest.mark.parametrize("flip", [False, True])
def test_windows_change_nothing_where_they_share_enough(flip):
    """A pixel of this network sees three around it."""
    how = {"flip": flip, "scales": (1.0, 1.5)}
    np.testing.assert_array_equal(
        predict(IMAGES, SIZE, Inference(**how, window=(16, 17), overlap=8)),
        predict(IMAGES, SIZE, Inference(**how)),
    )


@pytest.mark.parametrize("rows", [1, 5, 36])
def test_strips_change_nothing(rows, monkeypatch):
    how = Inference(flip=True)
    expected = np.asarray(predict(IMAGES, SIZE, how))
    monkeypatch.setattr(inference, "_STRIP_BYTES", rows * 2 * SIZE[1] * 7 * 4)
    found = inference.predict_classes(SEGMENTER, variables(), IMAGES, SIZE, how)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "how", [Inference(), Inference(flip=True, scales=(1.0, 1.5))], ids=["one view", "four"]
)
def test_uncertainty_is_the_entropy_of_the_probabilities(how, monkeypatch):
    monkeypatch.setattr(inference, "_STRIP_BYTES", 5 * 2 * SIZE[1] * 7 * 4)

    @jax.jit
    def both(images):
        coarse = inference.coarse_logits(SEGMENTER, variables(), images, how)
        return inference.upsampled_classes_and_uncertainty(coarse, SIZE, how)

    found = both(IMAGES)
    np.testing.assert_array_equal(found[..., 0], predict(IMAGES, SIZE, how))
    ways = (False, True) if how.flip else (False,)
    views = [probabilities(IMAGES, each, way) for each in how.scales for way in ways]
    expected = 255 * stats.entropy(np.mean(views, 0), axis=-1) / np.log(7)
    np.testing.assert_allclose(found[..., 1], expected, atol=0.51)


def test_logits_at_full_resolution_never_exist_at_once(monkeypatch):
    monkeypatch.setattr(inference, "_STRIP_BYTES", 2**18)

    @jax.jit
    def large(images):
        return inference.predict_classes(
            SEGMENTER, variables(), images, (1024, 1024), Inference(flip=True)
        )

    compiled = large.lower(jax.ShapeDtypeStruct((1, 32, 32, 3), "uint8")).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 1024 * 1024 * 7 * 4 / 2
