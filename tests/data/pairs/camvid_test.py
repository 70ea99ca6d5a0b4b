import os
import pathlib

import ml_collections
import numpy as np
import pytest

from labor_jax.data.base import DataError
from labor_jax.data.pairs import camvid, camvid_pool, camvid_reverse

_ROOT = pathlib.Path(
    os.environ.get("LABOR_JAX_CAMVID")
    or pathlib.Path(__file__).resolve().parents[3] / "../shared/data/camvid"
)


def _config(root):
    return ml_collections.ConfigDict({"root": str(root), "verify": "headers", "cache_bytes": 0})


def test_eleven_classes_with_a_colour_each():
    assert len(camvid.CLASSES) == 11
    assert camvid.PALETTE.shape == (11, 3)
    assert len(np.unique(camvid.PALETTE, axis=0)) == 11


def test_day_to_dusk_on_the_data():
    if not (_ROOT / "images").is_dir():
        pytest.skip(f"CamVid is not at {_ROOT}; set LABOR_JAX_CAMVID to its folder")
    pair = camvid.load(_config(_ROOT))
    assert (len(pair.source), len(pair.pool), len(pair.evaluation)) == (305, 62, 62)
    assert {name[:6] for name in pair.source.names} == {"0006R0", "0016E5"}
    assert {name[:6] for name in pair.pool.names + pair.evaluation.names} == {"0001TP"}
    assert not set(pair.pool.names) & set(pair.evaluation.names)
    image, label = pair.source.image(0), pair.source.label(0)
    assert image.shape == (360, 480, 3)
    assert label.shape == pair.source.size(0) == (360, 480)
    # Sky is above the road, and brighter: the class numbers are those of CLASSES.
    sky, road = (label == camvid.CLASSES.index(name) for name in ("sky", "road"))
    assert np.nonzero(sky)[0].mean() < np.nonzero(road)[0].mean()
    assert image[sky].mean() > image[road].mean()


def test_layout_in_another_root(tmp_path, write_image):
    rng = np.random.default_rng(0)
    for part, name in [
        ("train", "0006R0_1"),
        ("train", "0016E5_1"),
        ("train", "0001TP_1"),
        ("test", "0001TP_2"),
        ("test", "Seq05VD_1"),
    ]:
        image = rng.integers(0, 256, (4, 6, 3), np.uint8)
        write_image(tmp_path / "images" / part / f"{name}.jpg", image)
        label = rng.integers(0, 11, (4, 6)).astype(np.uint8)
        write_image(tmp_path / "labels" / part / f"{name}.png", label)
    pair = camvid.load(_config(tmp_path))
    assert pair.source.names == ("0006R0_1", "0016E5_1")
    assert pair.pool.names == ("0001TP_1",)
    assert pair.evaluation.names == ("0001TP_2",)
    write_image(tmp_path / "labels/test/0001TP_2.png", np.full((4, 6), 11, np.uint8))
    with pytest.raises(DataError, match=r"label value 11.*write 255 in place of 11"):
        camvid.load(_config(tmp_path)).evaluation.label(0)


def test_a_root_that_is_not_camvid(tmp_path):
    with pytest.raises(DataError, match=r"images/train does not exist.*data\.root"):
        camvid.load(_config(tmp_path))


def test_dusk_to_day_on_the_data():
    if not (_ROOT / "images").is_dir():
        pytest.skip(f"CamVid is not at {_ROOT}; set LABOR_JAX_CAMVID to its folder")
    there, back = camvid.load(_config(_ROOT)), camvid_reverse.load(_config(_ROOT))
    assert (len(back.source), len(back.pool), len(back.evaluation)) == (62, 305, 101)
    assert back.source.names == there.pool.names and back.pool.names == there.source.names
    assert {name[:6] for name in back.evaluation.names} == {"0016E5"}
    assert not set(back.pool.names) & set(back.evaluation.names)


def test_without_a_source_train_and_val_are_the_pool():
    if not (_ROOT / "images").is_dir():
        pytest.skip(f"CamVid is not at {_ROOT}; set LABOR_JAX_CAMVID to its folder")
    pair = camvid_pool.load(_config(_ROOT))
    assert pair.source is None and (len(pair.pool), len(pair.evaluation)) == (468, 62)
    assert {name.split("/")[0] for name in pair.pool.names} == {"train", "val"}
    assert not set(pair.pool.names) & set(pair.evaluation.names)
    assert pair.pool.label(0).shape == (360, 480)
