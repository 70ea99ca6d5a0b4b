"""Runs with a budget over the pool: one process or two, killed or not, ask the same."""

import json
import shutil

import pytest

from labor_jax import acquisition, experiment
from labor_jax.annotation import LabelStore
from labor_jax.data import load_pair, street
from tests.experiment.processes_run_test import finish, kill_in_second_round, start_config
from tests.runs import check_resumes, interrupt_query
from tests.tiny import tiny_config

MASK = "unsure_mask"
CONFIG = """
from tests.experiment.pool_scope_run_test import pool_config, register_mask

register_mask()

def get_config():
    return pool_config({method!r})
"""


def register_mask():
    """A method that asks masks and needs no selector, whose dropout depends on the devices."""

    @acquisition.register(MASK, asks="mask", budget="cap")
    def unsure(logits):
        entropy = acquisition.softmax_entropy(logits)
        return acquisition.ScoredPixels(entropy, candidates=entropy > 0.5)


def pool_config(method):
    """A tiny run in which images compete."""
    config = tiny_config(f"active:{MASK}" if method == MASK else method)
    config.acquisition.scope = "pool"
    if method == "ripu_ra":
        config.acquisition.update(fraction=0.0, seconds=2 * 60.0, class_weights="predicted")
    else:
        config.acquisition.class_weights = "answers"
    return config


def asked_in(workdir, round_number):
    with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES, read_only=True) as store:
        return store.asked_images(round_number)


@pytest.fixture(scope="module", params=["spl", MASK, "ripu_ra"])
def whole(request, tmp_path_factory):
    """A run that nothing interrupted."""
    register_mask()
    workdir = tmp_path_factory.mktemp("whole") / "run"
    config = pool_config(request.param)
    yield config, workdir, experiment.run(config, workdir)
    acquisition.METHODS.pop(MASK)


@pytest.mark.slow
def test_the_pool_shares_the_budget(whole):
    config, workdir, _ = whole
    for number in (1, 2):
        images = asked_in(workdir, number)
        if config.method != "ripu_ra":
            cap = 4 * 32 * 64 * 0.05 // 2
            asked = sum(image.pixels for image in images)
            assert asked == cap if config.method == MASK else 0 < asked <= cap
        else:
            clicks = [image.clicks for image in images]
            assert len(set(clicks)) > 1
            seconds = 2.4 * sum(clicks) + 1.0 * len(images)
            assert 60 - 3.4 < seconds <= 60


@pytest.mark.slow
def test_an_interrupted_query_is_resumed(whole, tmp_path):
    config, workdir, summary = whole
    interrupt_query(config, tmp_path / "run", 2)
    check_resumes(config, (workdir, summary), tmp_path / "run")


@pytest.mark.slow
def test_two_processes_ask_the_same(whole, tmp_path):
    config, workdir, _ = whole
    if config.method == "spl":
        pytest.skip("the selector's dropout depends on the devices")
    two, ended = tmp_path / "run", [tmp_path / "run"]
    if config.method == MASK:
        kill_in_second_round(start_config(two, CONFIG.format(method=config.method)), two)
        ended.append(shutil.copytree(two, tmp_path / "alone"))
        experiment.run(config, ended[1])  # one process goes on where two were killed
    outputs, statuses = finish(start_config(two, CONFIG.format(method=config.method)))
    assert statuses == [0, 0], outputs
    expected = json.loads((workdir / "summary.json").read_text())["rounds"]
    for each in ended:
        rounds = json.loads((each / "summary.json").read_text())["rounds"]
        for ours, theirs in zip(rounds, expected, strict=True):
            for field in ("labelled_pixels", "clicks"):
                assert ours[field] == theirs[field]
        assert queries_of(each, 1) == queries_of(workdir, 1)


def queries_of(workdir, number):
    pool = load_pair("street", tiny_config("spl").data).pool
    with LabelStore(workdir / "labels.sqlite", classes=street.CLASSES, read_only=True) as store:
        return [store.query(name, number).tobytes() for name in pool.names]
