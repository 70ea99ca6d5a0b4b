"""Tests of input normalisation."""

import jax.numpy as jnp
import numpy as np

from labor_jax.models import denormalize_images, normalize_images


def test_known_values_and_inverse():
    images = np.array([[[0, 0, 0], [255, 255, 255], [124, 116, 104]]], np.uint8)
    normalized = normalize_images(jnp.asarray(images))
    assert normalized.dtype == jnp.float32
    np.testing.assert_allclose(normalized[0, 0], [-2.117904, -2.035714, -1.804444], atol=1e-5)
    np.testing.assert_allclose(normalized[0, 1], [2.248908, 2.428571, 2.64], atol=1e-5)
    np.testing.assert_allclose(denormalize_images(normalized), images, atol=1e-4)
    np.testing.assert_allclose(normalize_images(images.astype(np.float32)), normalized, atol=1e-6)
