"""Tests of input normalisation."""

import jax.numpy as jnp
import numpy as np
import pytest

from labor_jax.models import denormalize_images, network_input, normalize_images


def test_known_values_and_inverse():
    images = np.array([[[0, 0, 0], [255, 255, 255], [124, 116, 104]]], np.uint8)
    normalized = normalize_images(jnp.asarray(images))
    assert normalized.dtype == jnp.float32
    np.testing.assert_allclose(normalized[0, 0], [-2.117904, -2.035714, -1.804444], atol=1e-5)
    np.testing.assert_allclose(normalized[0, 1], [2.248908, 2.428571, 2.64], atol=1e-5)
    np.testing.assert_allclose(denormalize_images(normalized), images, atol=1e-4)
    np.testing.assert_allclose(normalize_images(images.astype(np.float32)), normalized, atol=1e-6)


def test_a_network_normalises_bytes_and_takes_floats_as_they_are():
    images = np.random.default_rng(0).integers(0, 256, (1, 2, 3, 3), np.uint8)
    normalized = normalize_images(images)
    np.testing.assert_array_equal(network_input(images), normalized)
    np.testing.assert_array_equal(network_input(normalized), normalized)
    assert network_input(normalized.astype(jnp.bfloat16)).dtype == jnp.float32
    with pytest.raises(ValueError, match="int32; give uint8 RGB"):
        network_input(images.astype(np.int32))
