import numpy as np
import pytest

from labor_jax.data import base


def test_pair_checks_classes_and_palette(array_split):
    split = array_split([np.zeros((2, 2, 3), np.uint8)])
    assert isinstance(split, base.Split)
    palette = base.default_palette(2)
    pair = base.Pair("x", ("a", "b"), palette, split, split, split)
    assert pair.num_classes == 2
    with pytest.raises(ValueError, match=r"palette must be uint8\[3, 3\].*uint8\[2, 3\]"):
        base.Pair("x", ("a", "b", "c"), palette, split, split, split)
    with pytest.raises(ValueError, match="float64"):
        base.Pair("x", ("a", "b"), palette.astype(float), split, split, split)


def test_pair_checks_class_subsets(array_split):
    split = array_split([np.zeros((2, 2, 3), np.uint8)])
    pair = ("x", ("a", "b"), base.default_palette(2), split, split, split)
    assert base.Pair(*pair).class_subsets == {}
    assert base.Pair(*pair, {"1": (1,)}).class_subsets["1"] == (1,)
    for subset in ((), (0, 2), (-1,)):
        with pytest.raises(ValueError, match=r"class_subsets\['y'\] .* numbers 0 to 1"):
            base.Pair(*pair, class_subsets={"y": subset})


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ((), "1 to 254 names, got 0"),
        (tuple(map(str, range(255))), "got 255"),
        (("a", "b", "a"), "repeated: a"),
        (("a", ""), "non-empty"),
        ("road", "single text 'road'"),
    ],
)
def test_impossible_classes(classes, message):
    with pytest.raises(ValueError, match=message):
        base.check_classes(classes)


def test_default_palette_is_distinct_and_pascal_vocs():
    palette = base.default_palette(base.MAX_CLASSES)
    assert len(np.unique(palette, axis=0)) == base.MAX_CLASSES
    assert palette.any(axis=1).all()
    # aeroplane, bicycle, bird, boat, ..., tv/monitor of the PASCAL VOC development kit
    np.testing.assert_array_equal(
        palette[[0, 1, 2, 3, 7, 19]],
        [(128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (64, 0, 0), (0, 64, 128)],
    )
