"""How a run's config and data describe the pool for labels that exist already."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from labor_jax import data
from labor_jax.annotation.formats import EXISTING_FORMATS
from labor_jax.data.driving import CITYSCAPES, builders
from labor_jax.experiment.existing_labels import describe_pool
from tests.driving import driving_data, write

PHOTO = "aachen_000000_000019_leftImg8bit.png"


@pytest.mark.parametrize("cache_bytes", [0, 1000])
def test_a_published_data_set_knows_how_its_files_are_named(tmp_path, cache_bytes):
    driving = driving_data(tmp_path)
    driving.config.cache_bytes = cache_bytes
    pair = data.load_pair("gtav", driving.config, ("pool",))
    existing = describe_pool(ConfigDict({"data": driving.config}), pair, unknown="error")
    assert existing.identify(PHOTO, None) == (0, ())  # as COCO, CVAT and Label Studio name it
    ids = np.full(pair.pool.size(0), 23, np.uint8)
    write(tmp_path / "given" / "aachen_000000_000019_gtFine_labelIds.png", ids)
    (image,) = EXISTING_FORMATS["png"].read(tmp_path / "given", existing)
    assert image.number == 0 and (image.labels == pair.classes.index("sky")).all()


def test_so_does_its_built_copy(tmp_path):
    driving = driving_data(tmp_path)
    driving.config.target_root = str(
        builders.build("cityscapes", driving.root / CITYSCAPES.folder, tmp_path / "built")
    )
    pair = data.load_pair("gtav", driving.config, ("pool",))
    existing = describe_pool(ConfigDict({"data": driving.config}), pair, unknown="error")
    assert existing.identify(PHOTO, None) == (0, ())
    assert existing.label_patterns == ("{stem}.png",)  # whose labels are class numbers, not ids
