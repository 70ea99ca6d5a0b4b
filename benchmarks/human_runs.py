"""A run that waits for people, made without the training before it, for tests and benchmarks."""

import numpy as np

from labor_jax.annotation import LabelStore
from labor_jax.atomic_files import write_atomically
from labor_jax.config import get_config
from labor_jax.data import load_pair
from labor_jax.experiment.workdir import Workdir

IMAGES = 4


def write_run(path, *, images=IMAGES, size=(32, 64), kind="points", data_seed=0, **annotation):
    """Writes the workdir of a run on street scenes, up to its first question.

    Args:
      path: The workdir.
      images: How many the pool has.
      size: Their (height, width).
      kind: "points": four of each image; "mask": some lumps; "full": everything.
      data_seed: Of the scenes.
      **annotation: Fields of config.annotation.
    """
    config = get_config({"mask": "spl", "full": "supervised"}.get(kind, "ppl"))
    config.data.update(
        image_size=size, source_count=1, pool_count=images, evaluation_count=1, seed=data_seed
    )
    config.annotator = "human"
    config.annotation.update(annotation)
    path.mkdir(parents=True, exist_ok=True)
    folder = Workdir(path)
    write_atomically(folder.config, config.to_json())
    pair = load_pair(config.pair, config.data)
    with LabelStore(folder.labels, classes=pair.classes) as store:
        store.open_round(1, pair.pool.names)
        rng = np.random.default_rng(0)
        questions = []
        for name in pair.pool.names:
            query = np.zeros(size, bool)
            if kind == "points":
                query.flat[rng.choice(query.size, 4, replace=False)] = True
            elif kind == "mask":
                for row, column in rng.integers(0, (size[0] - 8, size[1] - 12), (6, 2)):
                    query[row : row + 8, column : column + 12] |= rng.random((8, 12)) < 0.8
            else:
                query[:] = True
            questions.append((name, query, None, rng.integers(0, len(pair.classes), size)))
        store.ask_many(1, questions, kind=kind)
    return folder
