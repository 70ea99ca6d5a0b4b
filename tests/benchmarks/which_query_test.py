"""The honest curve: which runs it needs, and its rows."""

import dataclasses

import numpy as np
import pytest
from ml_collections import ConfigDict

import labor_jax
from benchmarks import budgets, runner, which_query
from labor_jax import models
from labor_jax.active import pool_query
from labor_jax.data.pairs import camvid
from labor_jax.experiment import config_checks, data_checks, warm_start
from tests.finished_runs import write_run


@pytest.fixture
def run_all(monkeypatch):
    """Stands in for training; runs whose name has "margin" fail."""
    calls = []

    def run_all(runs, output, jobs):
        calls.append(runs)
        for run in runs:
            if "margin" not in run.name:
                method = "all" if run.name.startswith("all") else "random"
                miou = 0.8 if method == "all" else 0.4
                seed = int(run.overrides["seed"])
                write_run(
                    output / run.name, seed=seed, miou=miou, pixels=9, acquisition__method=method
                )
        return {run.name: "broke" for run in runs if "margin" in run.name}

    monkeypatch.setattr(which_query, "run_all", run_all)
    return calls


@pytest.mark.slow
def test_every_way_starts_from_one_start_a_seed_with_one_budget(tmp_path):
    entries = which_query.plan_entries(["random", "ppl", "all", "superpixels"], [5, 75])
    assert [entry.name for entry in entries] == [
        *("random_5s", "random_75s", "superpixels_5s", "superpixels_75s", "ppl", "all"),
    ]
    extra = ("--config.recipe=today",)
    rows, runs = which_query.plan_runs(entries, "street", [0, 1], extra, tmp_path)
    assert [row.cells for row in rows] == [
        *(("random", "5 s, 1 round"), ("random", "75 s")),
        *(("superpixels", "5 s, 1 round"), ("superpixels", "75 s")),
        *(("ppl", "its own"), ("all", "its own")),
    ]
    assert [run.name for run in runs if not run.start] == ["start_seed0", "start_seed1"]
    assert {run.start for run in runs if run.start} == {"start_seed0", "start_seed1"}
    configs = {run.name: runner.load_config(run, tmp_path) for run in runs}
    asked = configs["superpixels_75s_seed1"]["acquisition"]
    assert (asked["seconds_per_image"], asked["points"], asked["fraction"]) == (75, 0, 0)
    assert configs["ppl_seed0"]["acquisition"]["seconds_per_image"] == 0
    assert (configs["random_5s_seed0"]["rounds"], configs["random_75s_seed0"]["rounds"]) == (1, 5)
    assert all(config["recipe"] == "today" for config in configs.values())


def camvid_like(name, config, roles):
    """CamVid's classes in a few images of its size."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 360, 480, 3), np.uint8)
    labels = np.kron(rng.integers(0, 11, (4, 9, 12)), np.ones((1, 40, 40), np.int64))
    parts = images, labels
    return labor_jax.data.pair_from_arrays(name, camvid.CLASSES, source=parts, pool=parts)


@pytest.mark.slow
@pytest.mark.parametrize(("pair", "seconds"), [("street", [5, 20]), ("camvid", [5])])
def test_every_run_of_the_defaults_can_be_begun(pair, seconds, tmp_path, monkeypatch, capsys):
    """At the smallest budgets: what holds there holds at larger ones, too."""
    if pair == "camvid":
        monkeypatch.setattr(budgets, "load_pair", camvid_like)
    given = which_query._parser().parse_args([])
    assert set(seconds) <= set(given.seconds)
    entries = which_query.plan_entries(which_query.default_ways(), seconds)
    extra = (f"--config.recipe={given.recipe}",)
    rows, runs = which_query.plan_runs(entries, pair, [0], extra, tmp_path)
    configs = {run.name: ConfigDict(runner.load_config(run, tmp_path)) for run in runs}
    built = budgets.components(runner.Run("random", f"active:random,{pair}", {}), tmp_path)
    for run in runs:
        config = configs[run.name]
        config_checks.check_config(config)
        data_checks.check_budget(dataclasses.replace(built, config=config))
        if run.start:
            config.warm_start = ""
            assert warm_start.shared_phase(config, configs[run.start]) == "joint"
        head = models.build_segmenter(config.model, built.pair.num_classes).head
        reads = labor_jax.acquisition.METHODS[config.method].reads
        samples = config.acquisition.samples if "logit_samples" in reads else 0
        pool_query.check_head(head, with_radii="radii" in reads, samples=samples)

    own = {run.name for run in runs if not run.start}
    assert own == {"start_seed0", "start_halo_seed0", "start_multi_hot_seed0"} | (
        {"start_bald_seed0"} if pair == "street" else set()  # CamVid's head has dropout
    )
    missing = {(entry.way, entry.seconds) for entry in entries}
    missing -= {(entry.way, entry.seconds) for entry in rows}
    said = capsys.readouterr().err
    assert all(f"{way} at {seconds:g} s is left out: " in said for way, seconds in missing)
    if pair == "street":  # a whole image takes 4,022 s, 128 images get 640 s or 2,560 s
        images = {name for name in which_query.default_ways() if "image" in name}
        assert missing == {(way, seconds) for way in images for seconds in (5, 20)}
        assert {row.cells for row in rows} >= {("margin", "5 s, 1 round"), ("margin", "20 s")}
        assert {row.cells for row in rows} >= {("corrections", "20 s, 4 rounds")}


def test_data_that_are_missing_are_an_error_for_people(tmp_path, capsys):
    arguments = ["--pair", "camvid", "--ways", "random", "--output", str(tmp_path / "runs")]
    extra = f"--config.data.root={tmp_path}"
    assert which_query.main([*arguments, "--", extra]) == 1
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize("seconds", ["nan", "inf", "0", "-5", "many"])
def test_seconds_that_are_no_budget_are_told(seconds, run_all, tmp_path, capsys):
    with pytest.raises(SystemExit):
        which_query.main(["--seconds", "20", seconds, "--output", str(tmp_path)])
    assert f"argument --seconds: {seconds} is no number" in capsys.readouterr().err
    assert not run_all


def test_without_a_row_nothing_is_run(run_all, tmp_path, capsys):
    arguments = ["--ways", "random", "--seconds", "0.001", "--output", str(tmp_path)]
    assert which_query.main(arguments) == 1
    told = capsys.readouterr().err
    assert "random at 0.001 s is left out: " in told and "No row is left" in told
    assert not run_all


def test_all_ways_can_be_planned():
    """Each of them takes seconds, or is listed as one that doesn't."""
    entries = which_query.plan_entries(which_query.default_ways(), [75])
    assert {entry.way for entry in entries} == set(which_query.default_ways())
    assert {entry.way for entry in entries if entry.seconds is None} == {
        *which_query.WITHOUT_BUDGET
    }


def test_the_table_shows_seconds_that_were_spent(run_all, tmp_path, capsys):
    arguments = ["--ways", "random", "margin", "all", "--seconds", "20", "--seeds", "0", "1"]
    assert which_query.main([*arguments, "--output", str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert rows[0] == [
        *("way of asking", "budget", "seconds/image", "clicks/image", "pixels/image"),
        *("seed 0", "seed 1", "mean", "std", "of supervised"),
    ]
    assert [tuple(row[:2]) for row in rows[2:]] == [
        ("at the first query", "nothing asked yet"),
        ("random", "20 s"),
        ("margin", "20 s"),
        ("all", "its own"),
    ]
    assert [row[-1] for row in rows[2:]] == ["50.0%", "50.0%", "-", "100.0%"]
    assert (tmp_path / "table.csv").exists()
