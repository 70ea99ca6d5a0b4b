"""The honest curve: which runs it needs, and its rows."""

import pytest

from benchmarks import runner, which_query
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


def test_every_way_starts_from_one_start_a_seed_with_one_budget(tmp_path):
    entries = which_query.plan_entries(["random", "ppl", "all", "superpixels"], [5, 75])
    assert [entry.name for entry in entries] == [
        *("random_5s", "random_75s", "superpixels_5s", "superpixels_75s", "ppl", "all"),
    ]
    runs = which_query.plan_runs(entries, "street", [0, 1], ("--config.recipe=today",))
    assert [run.name for run in runs if not run.start] == ["start_seed0", "start_seed1"]
    assert {run.start for run in runs if run.start} == {"start_seed0", "start_seed1"}
    configs = {run.name: runner.load_config(run, tmp_path) for run in runs}
    asked = configs["superpixels_75s_seed1"]["acquisition"]
    assert (asked["seconds_per_image"], asked["points"], asked["fraction"]) == (75, 0, 0)
    assert configs["ppl_seed0"]["acquisition"]["seconds_per_image"] == 0
    assert all(config["recipe"] == "today" for config in configs.values())


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
