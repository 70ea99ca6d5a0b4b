"""The mixed, masked, recoloured and Fourier-swapped images against NumPy."""

import colorsys

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from labor_jax import mixing


def image(seed, size=(8, 10)):
    return np.random.default_rng(seed).uniform(0, 255, (*size, 3)).astype(np.float32)


def label(seed, classes=5, size=(8, 10)):
    labels = np.random.default_rng(seed).integers(0, classes, size).astype(np.int32)
    labels[0, :3] = 255
    return labels


@given(st.integers(0, 2**31 - 1), st.integers(1, 6))
def test_class_mix_pastes_half_of_the_classes(seed, classes):
    source, target = label(seed, classes), label(seed + 1)
    mixed, mixed_label, from_source = mixing.class_mix(
        jax.random.key(seed), image(0), source, image(1), target, 6
    )
    present = set(np.unique(source)) - {255}
    pasted = set(np.unique(source[np.asarray(from_source)]))
    assert len(pasted) == -(-len(present) // 2) and pasted <= present
    np.testing.assert_array_equal(from_source, np.isin(source, list(pasted)))
    np.testing.assert_array_equal(mixed_label, np.where(from_source, source, target))
    expected = np.where(np.asarray(from_source)[..., None], image(0), image(1))
    np.testing.assert_array_equal(mixed, expected)


def test_class_mix_of_a_void_label_is_the_target():
    void = np.full((8, 10), 255, np.int32)
    mixed, mixed_label, from_source = mixing.class_mix(
        jax.random.key(0), image(0), void, image(1), label(1), 5
    )
    assert not np.any(from_source)
    np.testing.assert_array_equal(mixed, image(1))
    np.testing.assert_array_equal(mixed_label, label(1))


def test_every_class_is_pasted_equally_often():
    keys = jax.random.split(jax.random.key(0), 400)
    source = np.arange(4, dtype=np.int32).reshape(1, 4)
    picture = np.zeros((1, 4, 3), np.float32)
    mix = jax.vmap(lambda key: mixing.class_mix(key, picture, source, picture, source, 4)[2])
    shares = np.asarray(jax.jit(mix)(keys)).mean(0)[0]
    np.testing.assert_allclose(shares, 0.5, atol=0.1)


def test_class_mix_of_other_sizes_is_an_error():
    with pytest.raises(ValueError, match=r"one size; got .*target_label \(8, 9\)"):
        mixing.class_mix(jax.random.key(0), image(0), label(0), image(1), label(1, size=(8, 9)), 5)


@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.7, 1.0])
def test_a_block_mask_hides_whole_blocks_at_its_ratio(ratio):
    mask = np.asarray(mixing.random_block_mask(jax.random.key(1), (254, 301), block=4, ratio=ratio))
    assert mask.shape == (254, 301) and mask.dtype == bool
    blocks = mask[::4, ::4]
    np.testing.assert_array_equal(mask, blocks.repeat(4, 0).repeat(4, 1)[:254, :301])
    assert abs(1 - blocks.mean() - ratio) < 0.03


@pytest.mark.parametrize(("block", "ratio"), [(0, 0.5), (4, 1.5), (4, -0.1)])
def test_a_block_mask_that_cannot_be_is_an_error(block, ratio):
    with pytest.raises(ValueError, match=r"(block|ratio) is"):
        mixing.random_block_mask(jax.random.key(0), (8, 8), block=block, ratio=ratio)


def fourier_twin(source, target, beta):
    """As FDA's code: on shifted spectra, a centred square."""
    height, width = source.shape[:2]
    reach = int(np.floor(beta * min(height, width)))
    spectra = [np.fft.fftshift(np.fft.fft2(x, axes=(0, 1)), axes=(0, 1)) for x in (source, target)]
    amplitude, phase = np.abs(spectra[0]), np.angle(spectra[0])
    row, column = height // 2, width // 2
    window = np.s_[row - reach : row + reach + 1, column - reach : column + reach + 1]
    amplitude[window] = np.abs(spectra[1])[window]
    mixed = np.fft.ifftshift(amplitude * np.exp(1j * phase), axes=(0, 1))
    return np.real(np.fft.ifft2(mixed, axes=(0, 1)))


@pytest.mark.parametrize("size", [(16, 24), (15, 21)])
@pytest.mark.parametrize("beta", [0.0, 0.05, 0.1, 0.3])
def test_fourier_swap_is_fdas(size, beta):
    source, target = image(0, size), image(1, size)
    swapped = mixing.fourier_swap(source, target, beta)
    assert swapped.dtype == np.float32
    np.testing.assert_allclose(swapped, fourier_twin(source, target, beta), atol=1e-2)


def test_fourier_swap_keeps_the_phase_and_the_other_amplitudes():
    source, target = image(0, (16, 24)), image(1, (16, 24))
    spectra = [np.fft.fft2(x, axes=(0, 1)) for x in (source, target)]
    swapped = np.fft.fft2(np.asarray(mixing.fourier_swap(source, target, 0.2)), axes=(0, 1))
    reach = 3
    frequencies = [np.abs(np.fft.fftfreq(n) * n) < reach + 0.5 for n in (16, 24)]
    inside = frequencies[0][:, None] & frequencies[1]
    np.testing.assert_allclose(np.abs(swapped)[inside], np.abs(spectra[1])[inside], rtol=1e-2)
    np.testing.assert_allclose(np.abs(swapped)[~inside], np.abs(spectra[0])[~inside], rtol=1e-2)
    turned = np.abs(np.exp(1j * np.angle(swapped)) - np.exp(1j * np.angle(spectra[0])))
    assert turned.max() < 1e-2


def test_a_swap_with_itself_changes_nothing():
    np.testing.assert_allclose(mixing.fourier_swap(image(0), image(0), 0.1), image(0), atol=1e-2)


def test_fourier_swap_of_other_shapes_is_an_error():
    with pytest.raises(ValueError, match=r"shape \(8, 10, 3\) and target_image \(8, 9, 3\)"):
        mixing.fourier_swap(image(0), image(1, (8, 9)), 0.1)


def test_match_colours_gives_each_channel_another_mean_and_deviation():
    matched = np.asarray(mixing.match_colours(image(0), image(1, (5, 9)) / 3))
    reference = image(1, (5, 9)) / 3
    np.testing.assert_allclose(matched.mean((0, 1)), reference.mean((0, 1)), rtol=1e-4)
    np.testing.assert_allclose(matched.std((0, 1)), reference.std((0, 1)), rtol=1e-4)
    straight = np.polyfit(image(0)[..., 1].ravel(), matched[..., 1].ravel(), 1)
    np.testing.assert_allclose(np.polyval(straight, image(0)[..., 1]), matched[..., 1], atol=1e-2)


@pytest.mark.parametrize("value", [0.0, 33.7, 201.3])
def test_match_colours_makes_a_channel_of_one_value_the_references_mean(value):
    reference = image(1, (5, 9))
    matched = mixing.match_colours(np.full((256, 512, 3), value, np.float32), reference)
    expected = np.broadcast_to(reference.mean((0, 1), np.float64), matched.shape)
    np.testing.assert_allclose(matched, expected, rtol=1e-4)


def test_random_texture_is_drawn_anew_and_keeps_mean_and_deviation():
    first, second = (mixing.random_texture(jax.random.key(seed), image(0)) for seed in (0, 1))
    assert np.abs(first - second).max() > 20
    for textured in (first, second):
        np.testing.assert_allclose(textured.mean(), image(0).mean(), rtol=1e-4)
        np.testing.assert_allclose(textured.std(), image(0).std(), rtol=1e-3)
    assert np.isfinite(mixing.random_texture(jax.random.key(0), 0 * image(0) + 3)).all()


def colors_twin(picture, brightness, contrast, saturation, turn):
    """Pixel by pixel, with the standard library's HSV."""
    grey_of = np.array([0.299, 0.587, 0.114])
    picture = np.clip(picture.astype(np.float64) * (1 + brightness), 0, 255)
    mean = (picture @ grey_of).mean()
    picture = np.clip(mean + (1 + contrast) * (picture - mean), 0, 255)
    result = np.empty_like(picture)
    for place in np.ndindex(picture.shape[:2]):
        grey = picture[place] @ grey_of
        rgb = np.clip(grey + (1 + saturation) * (picture[place] - grey), 0, 255) / 255
        hue, chroma, value = colorsys.rgb_to_hsv(*rgb)
        result[place] = 255 * np.array(colorsys.hsv_to_rgb((hue + turn) % 1, chroma, value))
    return result


@given(*[st.floats(-0.5, 0.5) for _ in range(4)])
def test_changed_colours_are_those_of_the_definition(brightness, contrast, saturation, turn):
    picture = image(3, (4, 5))
    picture[0, 0] = 40.0  # grey
    picture[0, 1] = 0.0
    amounts = (brightness, contrast, saturation, turn)
    np.testing.assert_allclose(
        mixing._changed_colors(picture, *amounts), colors_twin(picture, *amounts), atol=0.05
    )


def test_colour_jitter_happens_as_often_as_it_should():
    keys = jax.random.split(jax.random.key(0), 300)
    changed = jax.vmap(lambda key: mixing.color_jitter(key, image(0), 0.25, 0.6))(keys)
    assert changed.dtype == np.float32 and changed.min() >= 0 and changed.max() <= 255
    differs = np.any(np.abs(np.asarray(changed) - image(0)) > 1e-3, axis=(1, 2, 3))
    assert abs(differs.mean() - 0.6) < 0.1
    means = np.asarray(changed)[differs].mean((1, 2, 3))
    assert len(np.unique(means)) == len(means)
    unchanged = mixing.color_jitter(keys[0], image(0), 0.0, 1.0)
    np.testing.assert_allclose(unchanged, image(0), atol=0.01)
    with pytest.raises(ValueError, match=r"strength is 0\.7"):
        mixing.color_jitter(keys[0], image(0), 0.7)


@pytest.mark.parametrize(("sigma", "radius"), [(0.15, 4), (0.8, 4), (1.15, 4), (2.0, 3)])
def test_a_blur_is_scipys(sigma, radius):
    expected = ndimage.gaussian_filter(
        image(0).astype(np.float64), (sigma, sigma, 0), mode="nearest", radius=(radius, radius, 0)
    )
    np.testing.assert_allclose(mixing.gaussian_blur(image(0), sigma, radius), expected, atol=0.01)


@pytest.mark.parametrize("size", [(8, 10), (5, 10), (8, 13), (11, 6)])
def test_a_fitted_image_is_a_window(size):
    picture = np.arange(240).reshape(8, 10, 3).astype(np.uint8)
    classes = picture[..., 0].astype(np.int32)
    seen = set()
    for seed in range(20):
        key = jax.random.key(seed)
        fitted, label = map(np.asarray, mixing.fitted(key, picture, classes, size, void=255))
        assert fitted.shape == (*size, 3) and label.shape == size and fitted.dtype == np.uint8
        rows, columns = np.nonzero(label != 255)
        assert len(rows) == min(size[0], 8) * min(size[1], 10)
        np.testing.assert_array_equal(fitted[rows, columns, 0], label[rows, columns])
        row, column = rows[0], columns[0]
        top, left = divmod(label[row, column] // 3, 10)
        inside = classes[top : top + size[0], left : left + size[1]]
        shown = label[row : row + inside.shape[0], column : column + inside.shape[1]]
        np.testing.assert_array_equal(shown, inside)
        seen.add((top, left, row, column))
    assert (len(seen) > 1) == (size != (8, 10))
