"""A run's results as checkpoints hold them."""

import json

from labor_jax.experiment.summary import Results


def test_results_survive_a_checkpoint():
    results = Results(miou={"warmup": 0.5}, confusion=[[3, 1], [0, 2]], device="1 CPU, float32")
    assert Results.from_json(json.loads(json.dumps(results.to_json()))) == results


def test_a_checkpoint_of_an_older_version_is_read():
    older = Results(miou={"warmup": 0.5}, seconds={"warmup": 2.0}).to_json()
    for name in ("confusion", "miou_error", "device"):
        del older[name]
    results = Results.from_json(older)
    assert results.miou == {"warmup": 0.5} and results.confusion is None
