"""LTIR's images against NumPy."""

import jax
import numpy as np
import pytest

from labor_jax import adaptation, mixing, models
from tests.tiny import tiny_config


def domain(seed, lowest=100, highest=150):
    """A domain whose images are far from the ends of the range."""
    rng = np.random.default_rng(seed)
    return {
        "image": rng.integers(lowest, highest, (8, 16, 24, 3), np.uint8),
        "label": rng.integers(0, 5, (8, 16, 24), np.int32),
    }


BATCH = {"source": domain(0), "target": domain(1, 90, 120)}


def view(name, **settings):
    term = adaptation.build(name, {name: settings})
    made = term.views(jax.random.key(3), BATCH, {})["translated"]
    np.testing.assert_array_equal(made["label"], BATCH["source"]["label"])
    return np.asarray(models.denormalize_images(made["image"]))


def test_target_style_has_a_target_images_colours_and_the_sources_shapes():
    images = view("target_style", beta=0.1)
    target, source = (np.asarray(BATCH[each]["image"], np.float64) for each in ("target", "source"))
    np.testing.assert_allclose(images.mean((1, 2)), target.mean((1, 2)), rtol=1e-4)
    np.testing.assert_allclose(images.std((1, 2)), target.std((1, 2)), rtol=1e-2)
    products = np.fft.fft2(images, axes=(1, 2)) * np.conj(np.fft.fft2(source, axes=(1, 2)))
    strong = np.abs(products) > 1e4
    np.testing.assert_allclose(np.angle(products[strong]), 0, atol=5e-2)


def test_each_image_gets_either_a_random_texture_or_a_target_style():
    styled, textured, mixed = (
        view("random_texture", share=share, beta=0.1) for share in (0.0, 1.0, 0.5)
    )
    np.testing.assert_allclose(styled, view("target_style", beta=0.1), atol=1e-3)
    chosen = [np.abs(mixed[i] - textured[i]).max() < 1e-3 for i in range(8)]
    assert 0 < sum(chosen) < 8
    for i, is_textured in enumerate(chosen):
        np.testing.assert_allclose(mixed[i], (textured if is_textured else styled)[i], atol=1e-3)
        assert np.abs(textured[i] - styled[i]).max() > 10


def test_match_colours_of_a_flat_channel_is_the_references_mean():
    image = np.full((4, 5, 3), 7.0, np.float32)
    reference = np.random.default_rng(0).uniform(0, 255, (3, 8, 3)).astype(np.float32)
    matched = mixing.match_colours(image, reference)
    np.testing.assert_allclose(matched, np.broadcast_to(reference.mean((0, 1)), matched.shape))


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_random_texture_filters_and_scales_amplitudes(kernel_size):
    """A twin with the same draws, which convolves pixel by pixel."""
    key, image = jax.random.key(5), domain(2)["image"][0]
    textured = mixing.random_texture(key, image, kernel_size=kernel_size, amplitude=0.7)
    filter_key, share_key, amplitude_key = jax.random.split(key, 3)
    kernel = np.asarray(jax.random.normal(filter_key, (kernel_size, kernel_size, 3, 3)))
    pixels = image.astype(np.float64)
    centred = pixels - pixels.mean()
    reach = kernel_size // 2
    padded = np.pad(centred, ((reach, reach), (reach, reach), (0, 0)))
    filtered = np.zeros_like(centred)
    for row, column in np.ndindex(16, 24):
        window = padded[row : row + kernel_size, column : column + kernel_size]
        filtered[row, column] = np.einsum("ijc,ijcd->d", window, kernel)
    share = float(jax.random.uniform(share_key))
    blended = share * centred + (1 - share) * filtered / np.sqrt(3 * kernel_size**2)
    drawn = np.exp(0.7 * np.asarray(jax.random.normal(amplitude_key, (16, 13))))
    spectrum = np.fft.rfft2(blended, axes=(0, 1)) * drawn[..., None]
    expected = np.fft.irfft2(spectrum, (16, 24), axes=(0, 1))
    expected = (expected - expected.mean()) * pixels.std() / expected.std() + pixels.mean()
    np.testing.assert_allclose(textured, expected, rtol=1e-3, atol=1e-2)


def test_the_method_drops_textures_and_the_adversarial_term_when_it_retrains():
    config = tiny_config("uda:ltir")
    used = [
        {name for name, weight in section.terms.items() if weight}
        for section in (config.warmup, config.retraining)
    ]
    assert used == [
        {"random_texture", "translated_adversarial"},
        {"target_style", "median_labels"},
    ]


@pytest.mark.parametrize(
    ("field", "value"), [("share", 1.5), ("kernel_size", 0), ("amplitude", -1.0), ("beta", 0.7)]
)
def test_senseless_settings_are_errors(field, value):
    with pytest.raises(ValueError, match=rf"config\.terms\.random_texture: .*{field} .*{value}"):
        adaptation.build("random_texture", {"random_texture": {field: value}})
