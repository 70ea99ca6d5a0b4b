"""A run's model, read to predict images of any size."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import labor_jax
from labor_jax.data import DataError
from labor_jax.experiment.workdir import ConfigError
from tests.tiny import tiny_config

SIZES = ((32, 64), (40, 30), (32, 64))


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A run on arrays, whose pair nobody can load again."""
    generator = np.random.default_rng(0)

    def images_and_labels(count):
        return (
            generator.integers(0, 256, (count, 32, 32, 3), np.uint8),
            generator.integers(0, 2, (count, 32, 32), np.uint8),
        )

    pair = labor_jax.data.pair_from_arrays(
        "rain",
        ("dry", "wet"),
        source=images_and_labels(4),
        pool=images_and_labels(4),
        evaluation=images_and_labels(2),
        palette=np.array([(1, 2, 3), (4, 5, 6)], np.uint8),
    )
    config = tiny_config("source_only")
    config.update(evaluation_flip=True, evaluation_scales=(1.0, 0.5))
    path = tmp_path_factory.mktemp("run")
    assert labor_jax.run(config, path, pair=pair)["pair"] == "rain"
    return path


@pytest.fixture(scope="module")
def model(workdir):
    return labor_jax.load(workdir)


@pytest.fixture
def images():
    generator = np.random.default_rng(1)
    return [generator.integers(0, 256, (*size, 3), np.uint8) for size in SIZES]


def test_a_run_on_arrays_keeps_its_classes_and_colours(model):
    assert model.classes == ("dry", "wet")
    assert model.palette.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert (model.phase, model.step) == ("supervised", 4)


def test_predictions_have_each_images_own_size(model, images):
    predicted = model.predict(images)
    assert [(each.shape, each.dtype) for each in predicted] == [(size, "uint8") for size in SIZES]
    assert max(each.max() for each in predicted) < 2


def test_probabilities_agree_with_predictions(model, images):
    found = model.probabilities(images)
    assert [(each.shape, each.dtype) for each in found] == [
        ((*size, 2), "float32") for size in SIZES
    ]
    for probabilities, predicted in zip(found, model.predict(images), strict=True):
        np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)
        np.testing.assert_array_equal(probabilities.argmax(-1), predicted)


def test_photos_are_predicted_as_they_are_shown(model, images, tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6
    Image.fromarray(images[0]).save(tmp_path / "photo.png", exif=exif)
    shown = np.ascontiguousarray(np.rot90(images[0], -1))
    for of_path, of_array in zip(
        model.predict([tmp_path / "photo.png"]), model.predict([shown]), strict=True
    ):
        assert of_path.shape == shown.shape[:2]
        np.testing.assert_array_equal(of_path, of_array)


def test_paths_and_arrays_predict_the_same(model, images, tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(len(images))]
    for image, path in zip(images, paths, strict=True):
        Image.fromarray(image).save(path)
    for of_path, of_array in zip(
        model.predict([str(paths[0]), *paths[1:]]), model.predict(images), strict=True
    ):
        np.testing.assert_array_equal(of_path, of_array)


def test_a_tilde_is_the_users_home(workdir, images, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "run").symlink_to(workdir)
    Image.fromarray(images[0]).save(tmp_path / "photo.png")
    model = labor_jax.load("~/run")
    found, expected = model.predict(["~/photo.png", images[0]])
    np.testing.assert_array_equal(found, expected)


def test_an_array_of_images_is_a_list_of_them(model, images):
    one, other = model.predict(np.stack([images[0], images[2]]))
    np.testing.assert_array_equal(one, model.predict([images[0]])[0])
    np.testing.assert_array_equal(other, model.predict([images[2]])[0])
    assert model.predict([]) == []


def test_whatever_numpy_makes_an_array_of_is_one(model, images):
    expected = model.predict(images)
    for kind in (jnp.asarray, Image.fromarray):
        for found, wanted in zip(model.predict([*map(kind, images)]), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
    (found,) = model.predict(jnp.asarray(images[0])[None])
    np.testing.assert_array_equal(found, expected[0])


class Unreadable:
    def __array__(self, dtype=None, copy=None):
        raise TypeError("it is on another device")


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (np.zeros((4, 4, 3), np.float32), ("image 1", "float32[4, 4, 3]", "uint8[H, W, 3]")),
        (np.zeros((4, 4), np.uint8), ("image 1", "uint8[4, 4]")),
        (jnp.zeros((4, 4, 3)), ("image 1", "float32[4, 4, 3]")),
        (Image.new("L", (5, 4)), ("image 1", "uint8[4, 5]")),
        (None, ("image 1", "NoneType", "uint8[H, W, 3]")),
        ([[[0, 0, 0]]], ("image 1", "list")),
        (b"a.png", ("image 1", "bytes")),
        (Unreadable(), ("image 1", "Unreadable", "on another device")),
        ("no/such.png", ("no/such.png", "no such file")),
    ],
)
def test_a_bad_image_is_named(model, images, bad, says):
    with pytest.raises(DataError) as raised:
        model.predict([images[0], bad])
    assert all(text in str(raised.value) for text in says)


def test_an_image_file_of_more_than_8_bits_is_named(model, images, tmp_path):
    deep = np.arange(300, 300 + 12 * 16, dtype=np.uint16).reshape(12, 16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    with pytest.raises(DataError, match=r"deep\.png is not an 8-bit image \(mode I;16\)"):
        model.predict([images[0], tmp_path / "deep.png"])


@pytest.mark.parametrize(
    "single",
    ["a.png", np.zeros((4, 4, 3), np.uint8), Image.new("RGB", (4, 4)), None],
    ids=["path", "array", "PIL", "None"],
)
def test_a_single_image_must_be_in_a_list(model, single):
    with pytest.raises(DataError, match="must be a list"):
        model.predict(single)


def test_loading_says_what_is_missing(workdir, tmp_path):
    with pytest.raises(ConfigError, match="holds no run"):
        labor_jax.load(tmp_path)
    (tmp_path / "config.json").write_text((workdir / "config.json").read_text())
    with pytest.raises(DataError, match=r"no .*pair\.json"):
        labor_jax.load(tmp_path)
    described = json.loads((workdir / "pair.json").read_text())
    (tmp_path / "pair.json").write_text(json.dumps({**described, "palette": []}))
    with pytest.raises(DataError, match=r"pair\.json is damaged"):
        labor_jax.load(tmp_path)
