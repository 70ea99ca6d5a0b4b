import concurrent.futures

import numpy as np
import pytest

from labor_jax.data.base import DataError
from labor_jax.data.folders import label_checks
from labor_jax.data.pairs import folders as folders_pair


def test_threads_read_the_same(tree):
    split = folders_pair.load(tree.config).source
    expected = [(split.image(i), split.label(i)) for i in range(3)]
    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        read = executor.map(lambda i: (split.image(i % 3), split.label(i % 3)), range(90))
        for i, (image, label) in enumerate(read):
            np.testing.assert_array_equal(image, expected[i % 3][0])
            np.testing.assert_array_equal(label, expected[i % 3][1])


def test_a_wrong_value_in_a_large_split_is_found_when_read_or_by_full(
    tree, write_image, monkeypatch
):
    monkeypatch.setattr(label_checks, "_CHECK_LABEL_PIXELS", 3 * 48 - 1)
    monkeypatch.setattr(label_checks, "_SAMPLE", 1)
    path = tree.root / "pool" / "labels" / "drive" / "pool_2.png"
    write_image(path, np.full((6, 8), 3, np.uint8))
    pair = folders_pair.load(tree.config)
    with pytest.raises(DataError, match=r"pool_2\.png: label value 3"):
        pair.pool.label(2)
    tree.config.verify = "full"
    tree.fails("pool_2.png: label value 3")


def test_full_finds_bytes_that_headers_cannot(tree, write_image):
    path = tree.root / "pool" / "images" / "drive" / "pool_1.png"
    noise = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)
    content = bytearray(write_image(path, noise).read_bytes())
    content[len(content) // 2] ^= 0xFF  # inside the pixels; the end of the file is in place
    path.write_bytes(content)
    pair = folders_pair.load(tree.config)
    with pytest.raises(DataError, match=r"pool_1\.png cannot be read"):
        pair.pool.image(1)
    tree.config.verify = "full"
    tree.fails("pool_1.png cannot be read")


def test_sizes_that_differ(tree, write_image):
    path = tree.root / "source" / "labels" / "drive" / "source_0.png"
    write_image(path, np.zeros((8, 6), np.uint8))
    tree.fails("1 source images differ in size", "source_0.png is 6x8", "source_0.png is 8x6")


def test_labels_in_colours(tree, write_image):
    path = tree.root / "evaluation" / "labels" / "drive" / "evaluation_0.png"
    write_image(path, np.zeros((6, 8, 3), np.uint8))
    tree.fails("1 evaluation labels are in colours", "evaluation_0.png (mode RGB)", "data.palette")


def test_a_file_that_is_cut_off(tree, write_image):
    path = tree.root / "source" / "images" / "drive" / "source_1.png"
    path.write_bytes(path.read_bytes()[:-30])
    tree.fails("1 source images cannot be read", str(path), "again")


def test_a_file_that_vanishes_after_the_checks(tree):
    pair = folders_pair.load(tree.config)
    pair.pool.image_paths[0].unlink()
    with pytest.raises(DataError, match=r"pool_0\.png cannot be read: no such file"):
        pair.pool.image(0)


@pytest.mark.parametrize("pattern", ["label.png", "{stem}{stem}.png", "x/{stem}.png"])
def test_label_patterns_that_cannot_be(tree, pattern):
    tree.config.source.label_pattern = pattern
    with pytest.raises(ValueError, match=r"data\.source\.label_pattern must be"):
        folders_pair.load(tree.config)


def test_unknown_verify(tree):
    tree.config.verify = "some"
    with pytest.raises(ValueError, match='"headers" or "full", got \'some\''):
        folders_pair.load(tree.config)
