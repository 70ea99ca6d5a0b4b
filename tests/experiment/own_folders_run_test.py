"""A run on folders as people have them, and what reads its workdir afterwards."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labor_jax import experiment
from labor_jax.annotation import LabelStore
from labor_jax.data import load_pair
from labor_jax.data.base import DataError
from labor_jax.experiment import data_checks
from labor_jax.experiment.session import RoundWaits
from labor_jax.experiment.workdir import ConfigError, Workdir
from tests.tiny import tiny_config

_TABLE = "number,name,colour,void\n0,nothing,#000000,yes\n1,road,#804080,\n2,sky,#4682b4,\n"
_COLOURS = np.array([(0, 0, 0), (128, 64, 128), (70, 130, 180)], np.uint8)


@pytest.fixture
def config(tmp_path):
    """Colour-coded source labels, photos that EXIF turns, no labels of the target."""
    rng = np.random.default_rng(0)
    root = tmp_path / "data"
    for folder in ("source/images", "source/labels", "pool/images"):
        (root / folder).mkdir(parents=True)
    turned = Image.Exif()
    turned[0x112] = 6
    for i in range(3):
        image, photo = (rng.integers(0, 256, (40, 72, 3), np.uint8) for _ in range(2))
        Image.fromarray(image).save(root / f"source/images/{i}.jpg")
        label = np.kron(rng.integers(0, 3, (5, 9)), np.ones((8, 8), int))
        Image.fromarray(_COLOURS[label]).save(root / f"source/labels/{i}.png")
        Image.fromarray(photo).save(root / f"pool/images/{i}.jpg", exif=turned)
    (root / "classes.csv").write_text(_TABLE)
    config = tiny_config("random", "folders")
    config.data.update(root=str(root), classes="classes.csv")
    return config


@pytest.mark.slow
def test_people_need_no_labels(config, tmp_path):
    for _ in range(2):  # the second resumes the first
        config.annotator = "human"
        with pytest.raises(RoundWaits):
            experiment.run(config, tmp_path / "run")
    folder = Workdir.existing(tmp_path / "run")
    pair = folder.load_pair(["pool", "evaluation"])
    assert pair.classes == ("road", "sky")
    np.testing.assert_array_equal(pair.palette, _COLOURS[1:])
    assert pair.evaluation is None
    assert pair.pool.image(0).shape == (72, 40, 3)
    with LabelStore(folder.labels, classes=pair.classes, read_only=True) as store:
        assert len(store.pending(1)) == 3


def test_an_oracle_needs_them(config, tmp_path):
    with pytest.raises(DataError, match=r"pool/images/0\.jpg has no label.*annotator=human"):
        experiment.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("place", ["pool/images", "pool/images/runs/mine", "source/labels/mine"])
def test_a_run_does_not_begin_in_a_folder_that_it_reads(config, monkeypatch, place):
    root = Path(config.data.root)
    monkeypatch.chdir(root)
    before = sorted(root.rglob("*"))
    config.annotator = "human"
    role, kind = place.split("/")[:2]
    with pytest.raises(
        ConfigError, match=rf"reads .*{role}/{kind} as data\.{role}, so the workdir .*{place} can't"
    ):
        experiment.run(config, place)
    assert sorted(root.rglob("*")) == before


def test_a_run_that_began_there_goes_on(config):
    folder = Workdir(Path(config.data.root) / "pool" / "images" / "run")
    folder.path.mkdir()
    pair = load_pair(config.pair, config.data, ["pool"])
    with pytest.raises(ConfigError):
        data_checks.check_workdir(folder, pair)
    folder.metrics.write_text("{}\n")
    data_checks.check_workdir(folder, pair)
