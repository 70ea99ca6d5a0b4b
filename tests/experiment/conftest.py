"""The files of a small run, without the run."""

import numpy as np
import pytest
from PIL import Image

from labor_jax.annotation import LabelStore
from labor_jax.data import Pair
from labor_jax.data.base import default_palette
from labor_jax.experiment.previews import preview_path
from labor_jax.experiment.workdir import Workdir
from tests.evaluation.scenes import CLASSES, SIZE, Scenes
from tests.tiny import tiny_config


@pytest.fixture
def pair():
    splits = [Scenes([SIZE] * 3, seed=seed) for seed in range(3)]
    return Pair("street", CLASSES, default_palette(len(CLASSES)), *splits)


@pytest.fixture
def folder(tmp_path):
    folder = Workdir.open(tmp_path / "run", tiny_config("spl"))
    yield folder
    folder.close()


@pytest.fixture
def store(folder, pair):
    with LabelStore(folder.labels, classes=pair.classes) as store:
        yield store


@pytest.fixture
def add_preview(folder):
    """Writes a preview of one value, or of an array."""

    def add(phase, number, value):
        path = preview_path(folder.previews, phase, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.broadcast_to(np.uint8(value), SIZE)).save(path)

    return add


@pytest.fixture
def add_round(store, pair, add_preview):
    """Asks the given masks (image number to bool[H, W]) and answers them from the pool's labels."""

    def add(number, masks):
        store.open_round(number, pair.pool.names)
        items = []
        for i, name in enumerate(pair.pool.names):
            mask = masks.get(i, np.zeros(SIZE, bool))
            items.append((name, mask, np.where(mask, pair.pool.label(i), np.uint8(255)), None))
            add_preview(f"round_{number}/query", i, mask)
            add_preview(f"round_{number}/train", i, number)
        store.ask_and_answer_many(number, items)

    return add
