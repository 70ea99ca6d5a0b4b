import numpy as np
import pytest

from labor_jax.data import DataError, Split, pair_from_arrays
from labor_jax.data.base import default_palette

_CLASSES = ("road", "car", "sky")


def _domain(count=3, sizes=((4, 6),), seed=0, dtype=np.int64):
    """Images and labels in turn of each size."""
    rng = np.random.default_rng(seed)
    shapes = [sizes[i % len(sizes)] for i in range(count)]
    images = [rng.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes]
    labels = [rng.choice([0, 1, 2, 255], shape).astype(dtype) for shape in shapes]
    return images, labels


def _pair(**parts):
    return pair_from_arrays("mine", _CLASSES, **{"source": _domain(), "pool": _domain(), **parts})


def test_a_pair_of_lists_of_several_sizes():
    domain = _domain(5, ((4, 6), (3, 9)))
    pair = _pair(source=domain, pool=domain, evaluation=domain)
    assert (pair.name, pair.classes) == ("mine", _CLASSES)
    np.testing.assert_array_equal(pair.palette, default_palette(3))
    for role in ("source", "pool", "evaluation"):
        split = getattr(pair, role)
        assert isinstance(split, Split) and len(split) == 5
        assert split.names[:2] == (f"{role}_0000", f"{role}_0001")
        for i, (image, label) in enumerate(zip(*domain, strict=True)):
            np.testing.assert_array_equal(split.image(i), image)
            np.testing.assert_array_equal(split.label(i), label)
            assert split.label(i).dtype == np.uint8
            assert split.size(i) == image.shape[:2]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint16])
def test_one_array_of_all_images(dtype):
    images, labels = _domain(dtype=dtype)
    pair = _pair(pool=(np.stack(images), np.stack(labels)))
    np.testing.assert_array_equal(pair.pool.image(2), images[2])
    np.testing.assert_array_equal(pair.pool.label(2), labels[2])


def test_name_and_classes_by_keyword_and_classes_of_any_sequence():
    pair = pair_from_arrays(name="x", classes=list(_CLASSES), source=_domain(), pool=_domain())
    assert (pair.name, pair.classes) == ("x", _CLASSES)


def test_without_evaluation_and_without_labels_of_the_pool():
    pair = _pair(pool=(_domain()[0], None))
    assert pair.evaluation is None
    assert pair.pool.image(0).shape == (4, 6, 3)
    with pytest.raises(DataError, match=r"pool_0001 has no label: .*people must answer"):
        pair.pool.label(1)


def test_what_the_pair_gives_is_read_only_and_what_was_given_is_not():
    images, labels = _domain(dtype=np.uint8)
    pair = _pair(source=(images, labels))
    for array in (pair.source.image(0), pair.source.label(0)):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
    assert images[0].flags.writeable and labels[0].flags.writeable


def test_a_given_palette():
    palette = ((1, 2, 3), (4, 5, 6), (7, 8, 255))
    np.testing.assert_array_equal(_pair(palette=palette).palette[2], (7, 8, 255))
    for wrong in (palette[:2], np.zeros((3, 3)), np.full((3, 3), 256)):
        with pytest.raises(ValueError, match=r"palette must be uint8\[3, 3\]"):
            _pair(palette=wrong)


def test_impossible_classes():
    with pytest.raises(ValueError, match="repeated: a"):
        pair_from_arrays("x", ("a", "a"), source=_domain(), pool=_domain())
    with pytest.raises(ValueError, match="single text"):
        pair_from_arrays("x", "road", source=_domain(), pool=_domain())


_IMAGES, _LABELS = _domain()


def _changed(arrays, i, array):
    return [*arrays[:i], array, *arrays[i + 1 :]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            (_changed(_IMAGES, 1, _IMAGES[1].astype(float)), _LABELS),
            r"source image 1 must be uint8\[H, W, 3\] .*, got float64\[4, 6, 3\]",
        ),
        ((_changed(_IMAGES, 2, _IMAGES[2][..., 0]), _LABELS), r"source image 2 .* uint8\[4, 6\]"),
        ((_changed(_IMAGES, 0, _IMAGES[0][:0]), _LABELS), r"source image 0 .* uint8\[0, 6, 3\]"),
        (
            (_IMAGES, _changed(_LABELS, 1, _LABELS[1].astype(float))),
            r"source label 1 must be an int\[H, W\] array .*, got float64\[4, 6\]",
        ),
        ((_IMAGES, _changed(_LABELS, 1, _LABELS[1] == 1)), r"source label 1 .* got bool\[4, 6\]"),
        (
            (_IMAGES, _changed(_LABELS, 2, _LABELS[2][:3])),
            r"source label 2 is 3x6, but its image is 4x6",
        ),
        (
            (_IMAGES, _changed(_LABELS, 1, np.full((4, 6), 3))),
            r"source label 1 has the value 3 in 24 pixels \(first at row 0, column 0\); valid "
            "values are 0 to 2, and 255",
        ),
        ((_IMAGES, _changed(_LABELS, 0, np.full((4, 6), -1))), "source label 0 has the value -1"),
        ((_IMAGES, _changed(_LABELS, 0, np.full((4, 6), 256))), "source label 0 has the value 256"),
        ((_IMAGES, _LABELS[:2]), "source has 3 images but 2 labels"),
        ((_IMAGES, None), "source needs labels; only the pool may have None"),
        (([], []), "source is empty"),
        ((_IMAGES[0], _LABELS), r"source images .* single array of shape \[4, 6, 3\]; put it in"),
        ((_IMAGES, _LABELS[0]), r"source labels .* single array of shape \[4, 6\]"),
        ((_IMAGES, 3), r"source labels must be a sequence of arrays .*, got int"),
        (np.stack(_IMAGES), r"source must be a tuple \(images, labels\), got ndarray"),
        ((_IMAGES,), r"source must be a tuple \(images, labels\)"),
    ],
)
def test_impossible_arrays_are_named(given, message):
    with pytest.raises(DataError, match=message):
        _pair(source=given)


def test_the_role_at_fault_is_named():
    with pytest.raises(DataError, match="evaluation needs labels"):
        _pair(evaluation=(_IMAGES, None))
    with pytest.raises(DataError, match="pool image 0 must be"):
        _pair(pool=([np.zeros((4, 6))], None))
