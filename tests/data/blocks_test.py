import pathlib

import numpy as np
import pytest

from labor_jax.data.blocks import row_blocks
from labor_jax.data.folders import label_checks
from labor_jax.data.label_map import LabelMap
from tests.annotation.formats.exported_rounds import peak_of_memory


@pytest.mark.parametrize("shape", [(1, 1), (700, 1000), (3, 2**19, 3)])
def test_blocks_are_views_of_all_rows(shape):
    array = np.arange(np.prod(shape)).reshape(shape)
    blocks = list(row_blocks(array))
    np.testing.assert_array_equal(np.concatenate(blocks), array)
    assert all(np.shares_memory(block, array) for block in blocks)


_VALUES = np.resize(np.arange(3, dtype=np.uint8), (1500, 2000))
_COLOURS = _VALUES[..., None].repeat(3, 2)
_MAP = LabelMap("#000000:0, #010101:1, #020202:2", 3, "f")


@pytest.mark.parametrize("values", [_VALUES, _COLOURS], ids=["numbers", "colours"])
def test_labels_are_checked_without_8_bytes_a_pixel(values):
    def check():
        label_checks.check_labels(
            "source", [pathlib.Path("a.png")], 1, lambda path: values, _MAP, verify="full"
        )

    check()  # makes tables that are made once
    assert peak_of_memory(check) < 5 * _VALUES.size
