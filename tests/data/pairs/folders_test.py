import shutil

import numpy as np
import pytest

from labor_jax import data
from labor_jax.data import base
from labor_jax.data.base import DataError
from labor_jax.data.pairs import folders as folders_pair


def test_reads_all_roles(tree):
    pair = folders_pair.load(tree.config)
    assert pair.name == "folders"
    assert pair.classes == ("road", "car", "sky")
    np.testing.assert_array_equal(pair.palette, base.default_palette(3))
    assert pair.pool.names == ("drive/pool_0", "drive/pool_1", "drive/pool_2")
    for split in (pair.source, pair.pool, pair.evaluation):
        assert isinstance(split, base.Split)
        assert len(split) == 3
        assert split.size(0) == (6, 8)
        assert split.image(0).shape == (6, 8, 3)
        assert split.label(0).shape == (6, 8)
        assert split.label(0).dtype == np.uint8
        assert split.label(0)[0, 0] == 255


def test_cache_returns_what_the_files_hold(tree):
    plain = folders_pair.load(tree.config)
    tree.config.cache_bytes = 10_000
    cached = folders_pair.load(tree.config)
    for _ in range(2):
        for i in range(3):
            np.testing.assert_array_equal(cached.pool.image(i), plain.pool.image(i))
            np.testing.assert_array_equal(cached.pool.label(i), plain.pool.label(i))


def test_given_palette(tree):
    tree.config.palette = ((1, 2, 3), (4, 5, 6), (7, 8, 255))
    np.testing.assert_array_equal(folders_pair.load(tree.config).palette[2], (7, 8, 255))
    tree.config.palette = ((1, 2, 3), (4, 5, 6))
    with pytest.raises(ValueError, match=r"data\.palette must hold .* 3 classes"):
        folders_pair.load(tree.config)
    tree.config.palette = ((1, 2, 3), (4, 5, 6), (7, 8, 256))
    with pytest.raises(ValueError, match="0 to 255"):
        folders_pair.load(tree.config)


def test_two_roles_in_one_folder(tree):
    for name in ("images", "labels"):
        shutil.copytree(
            tree.root / "evaluation" / name, tree.root / "pool" / name, dirs_exist_ok=True
        )
    tree.config.pool.pattern = ("drive/pool*",)
    tree.config.evaluation.update(
        images="pool/images", labels="pool/labels", pattern=("drive/evaluation*",)
    )
    pair = folders_pair.load(tree.config)
    assert pair.pool.names[0] == "drive/pool_0"
    assert pair.evaluation.names[0] == "drive/evaluation_0"


def test_label_map_is_the_roles_own(tree, write_image):
    path = tree.root / "source" / "labels" / "drive" / "source_1.png"
    write_image(path, np.full((6, 8), 200, np.uint8))
    tree.fails("source_1.png: label value 200 in 48 pixels", "valid here: 0-2, 255")
    tree.config.source.label_map = "200:1,0:0,1:1,2:255"
    pair = folders_pair.load(tree.config)
    assert (pair.source.label(1) == 1).all()
    assert pair.pool.label(1).max() == 255
    assert 2 in pair.pool.label(1)


def test_different_classes(tree):
    tree.config.pool.classes = ("road", "sky", "car")
    tree.fails("source and pool have different classes", "('road', 'sky', 'car')")
    tree.config.source.classes = ("road", "sky", "car")
    tree.fails("source and evaluation have different classes")
    tree.config.evaluation.classes = ("road", "sky", "car")
    assert folders_pair.load(tree.config).classes == ("road", "sky", "car")


def test_no_classes(tree):
    tree.config.classes = ()
    with pytest.raises(ValueError, match=r"set data\.classes"):
        folders_pair.load(tree.config)


def test_a_pool_may_lack_labels_until_they_are_read(tree):
    tree.config.pool.labels = ""
    pair = folders_pair.load(tree.config)
    assert pair.pool.size(0) == (6, 8)
    assert pair.pool.image(0).shape == (6, 8, 3)
    with pytest.raises(DataError, match=r"pool_0\.png has no label.*annotator=human"):
        pair.pool.label(0)
    tree.config.source.labels = ""
    tree.fails("source needs labels", "data.source.labels")


def test_only_the_roles_asked_for_are_read(tree):
    pair = data.load_pair("folders", tree.config)
    assert len(pair.pool) == 3
    shutil.rmtree(tree.root / "source")
    some = data.load_pair("folders", tree.config, ["pool"])
    assert some.pool.names == pair.pool.names
    assert some.source is some.evaluation is None
    tree.config.root = ""
    assert data.load_pair("folders", tree.config, []).classes == pair.classes
