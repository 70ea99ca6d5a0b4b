"""The table of methods of adaptation: which runs it needs, where they start, and its rows."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ml_collections import ConfigDict

import labor_jax
from benchmarks import adaptation as benchmark
from benchmarks import runner
from benchmarks.runner import RunError
from labor_jax import adaptation
from labor_jax.adaptation import registry
from labor_jax.experiment import components
from labor_jax.experiment.report import results
from tests.finished_runs import write_run
from tests.slow import all_but


@pytest.fixture(autouse=True)
def _methods(monkeypatch):
    """Beside those of the package, one in two stages and one with a supervised phase of its own."""
    monkeypatch.setattr(registry, "METHODS", dict(registry.METHODS))
    monkeypatch.setattr(adaptation, "METHODS", registry.METHODS)

    @registry.register_method("stages")
    def stages(config):
        registry.retrain(config, stages=3, share=0.5)
        config.retraining.terms.min_entropy = 1.0

    @registry.register_method("levels")
    def levels(config):
        config.supervised.terms.auxiliary_source_labels = 0.1
        config.warmup.terms.auxiliary_source_labels = 0.1


@pytest.fixture
def run_all(monkeypatch):
    """Stands in for training; a run of "levels" with seed 1 fails."""
    calls = []
    mious = {"source_only": 0.2, "source_only_longer": 0.22, "source_only_further": 0.21}
    mious |= {"min_entropy": 0.25, "levels": 0.2}

    def run_all(runs, output, jobs):
        calls.append((runs, jobs))
        for run in runs:
            name, _, seed = run.name.rpartition("_seed")
            if run.name != "levels_seed1":
                write_run(output / run.name, seed=int(seed), miou=mious[name] + int(seed) / 100)
        return {"levels_seed1": "broke"} if "levels_seed1" in {run.name for run in runs} else {}

    monkeypatch.setattr(benchmark, "run_all", run_all)
    return calls


def plan(methods, tmp_path, *, seeds=(0,), steps=None, extra=(), pair="street"):
    runs = benchmark.plan_runs(methods, pair, seeds, steps, extra, tmp_path)
    configs = {run.name: runner.load_config(run, tmp_path) for run in runs}
    runner.check_distinct(runs, configs)
    return {run.name: run for run in runs}, configs


def total(config):
    """Steps of a config's training."""
    retraining = config["retraining"]
    return (
        config["supervised"]["steps"]
        + config["warmup"]["steps"]
        + retraining["stages"] * retraining["steps"]
    )


@pytest.mark.slow
def test_methods_start_from_the_source_alone_and_take_as_many_steps(tmp_path, capsys):
    runs, configs = plan(["min_entropy", "stages", "levels"], tmp_path, seeds=(0, 4))
    assert list(runs)[:6] == [
        *("source_only_seed0", "source_only_longer_seed0", "source_only_further_seed0"),
        *("min_entropy_seed0", "stages_seed0", "levels_seed0"),
    ]
    start = str(tmp_path / "source_only_seed4")
    assert configs["min_entropy_seed4"]["warm_start"] == start
    assert configs["stages_seed4"]["warm_start"] == start
    assert configs["levels_seed4"]["warm_start"] == ""
    assert configs["source_only_longer_seed4"]["warm_start"] == ""
    assert {config["seed"] for name, config in configs.items() if name.endswith("seed4")} == {4}
    longer = total(configs["source_only_longer_seed4"])
    assert longer == 1000 > total(configs["source_only_seed4"]) == 500
    for name in ("source_only_further", "min_entropy", "stages", "levels"):
        assert longer <= total(configs[f"{name}_seed4"]) < longer + 3
    told = capsys.readouterr().err
    assert "levels_seed0 trains its first phase itself" in told
    assert "config.supervised.terms.auxiliary_source_labels is None there and 0.1 here" in told
    assert "stages" not in told


@pytest.mark.parametrize(
    ("kept", "followed"), [("all", ("source", "target")), ("target", ("target",))]
)
def test_the_yardsticks_batch_norm_follows_what_the_methods_does(kept, followed, tmp_path):
    flag = f"--config.warmup.running_statistics={kept}"
    runs, configs = plan(["min_entropy"], tmp_path, extra=(flag,))
    name = "source_only_further_seed0"
    terms = components.terms(ConfigDict(configs[name]), "warmup")
    assert terms.statistics_views == followed and set(terms.weights) == {"source_labels", "answers"}
    assert runs[name].start == "source_only_seed0"
    assert configs[name]["rounds"] == 0


@pytest.mark.parametrize("steps", all_but([7], [1, 7, 1000]))
def test_given_steps_keep_the_phases_shares(steps, tmp_path):
    _, configs = plan(["stages"], tmp_path, steps=steps)
    stages = configs["stages_seed0"]
    assert stages["warmup"]["steps"] == pytest.approx(steps / 2, rel=0.02, abs=1)
    assert steps <= total(stages) - 500 < steps + 3
    assert total(configs["source_only_longer_seed0"]) == 500 + steps


@given(
    warmup=st.integers(0, 200),
    stages=st.integers(1, 5),
    retraining=st.integers(0, 50),
    steps=st.integers(1, 500),
)
def test_phases_take_the_steps_in_all(warmup, stages, retraining, steps):
    config = {
        "warmup": {"steps": warmup},
        "retraining": {"stages": stages, "steps": retraining},
    }
    own = benchmark.phase_steps(config, steps)
    taken = int(own["warmup.steps"]) + stages * int(own.get("retraining.steps", 0))
    if warmup or retraining:
        assert steps <= taken < steps + stages
    else:
        assert taken == 0


@pytest.mark.parametrize(
    ("method", "warmup", "stage"), [("advent", 30, None), ("cbst", 0, 8), ("bdl", 15, 8)]
)
def test_steps_that_the_data_choose_are_replaced(method, warmup, stage):
    config = labor_jax.get_config(f"uda:{method}", "folders")
    own = benchmark.phase_steps(json.loads(config.to_json()), 30)
    assert own["warmup.steps"] == str(warmup)
    assert own.get("retraining.steps") == (None if stage is None else str(stage))


def test_more_flags_go_to_each_run_and_joined_methods_are_one(tmp_path):
    extra = ("--config.data.root=D", "--config.supervised.steps=30")
    runs, configs = plan(["min_entropy+stages"], tmp_path, extra=extra, pair="camvid")
    assert {config["data"]["root"] for config in configs.values()} == {"D"}
    assert configs["source_only_seed0"]["supervised"]["steps"] == 30
    assert configs["source_only_longer_seed0"]["supervised"]["steps"] == 30 + 300
    assert runs["min_entropy+stages_seed0"].start == "source_only_seed0"
    assert configs["min_entropy+stages_seed0"]["method"] == "min_entropy+stages"


@pytest.mark.parametrize(
    ("methods", "options", "says"),
    [
        (["min_entropi"], {}, "Did you mean min_entropy?"),
        (["min_entropy"], {"extra": ("--config.warmup.steps=3",)}, "give --steps"),
        (["min_entropy"], {"steps": 0}, "--steps is 0"),
        (["min_entropy"], {"pair": "folders"}, "--config.supervised.steps=N after --"),
    ],
)
def test_what_can_not_be_compared_is_told(methods, options, says, tmp_path):
    with pytest.raises(RunError, match=says):
        plan(methods, tmp_path, **options)


def test_the_table(run_all, tmp_path, capsys):
    arguments = ["--seeds", "0", "1", "--output", str(tmp_path), "--jobs", "2"]
    assert benchmark.main([*arguments, "--methods", "min_entropy", "levels"]) == 1
    captured = capsys.readouterr()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in captured.out.splitlines()
    ]
    published = benchmark.PUBLISHED["min_entropy"]
    assert rows[0] == [
        *("method", "seed 0", "seed 1", "mean ± std", "gain", "time"),
        "published, GTAV → Cityscapes",
    ]
    assert rows[2:] == [
        ["source only", "20.0", "21.0", "20.5 ± 0.7", "-1.0", "1.5 min", "36.6"],
        ["source only, as many steps", "22.0", "23.0", "22.5 ± 0.7", "+1.0", "1.5 min", "-"],
        ["source only, further steps", "21.0", "22.0", "21.5 ± 0.7", "-", "1.5 min", "-"],
        ["min_entropy", "25.0", "26.0", "25.5 ± 0.7", "+4.0", "1.5 min", published],
        ["levels", "20.0", "-", "20.0", "-1.0", "1.5 min", "-"],
    ]
    assert "levels_seed1 failed" in captured.err
    assert (tmp_path / "table.md").read_text() == captured.out
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 1 + 9
    ((runs, jobs),) = run_all
    assert (len(runs), jobs) == (10, 2)


def test_runs_without_miou_are_a_sentence_after_what_failed(run_all, tmp_path, monkeypatch, capsys):
    def without_miou(runs, *others):
        problems = run_all_with_miou(runs, *others)
        for path in tmp_path.glob("*/summary.json"):
            unmeasured = {"final_miou": None, "source_only_miou": None, "per_class_iou": None}
            path.write_text(json.dumps({**json.loads(path.read_text()), **unmeasured}))
        return problems

    run_all_with_miou = benchmark.run_all
    monkeypatch.setattr(benchmark, "run_all", without_miou)
    arguments = ["--seeds", "0", "1", "--output", str(tmp_path), "--methods", "levels"]
    assert benchmark.main(arguments) == 1
    told = capsys.readouterr().err
    assert "levels_seed1 failed:\nbroke\n" in told
    assert "mIoU" in told.splitlines()[-1]


def test_without_methods_all_that_are_registered_are_run(run_all, tmp_path, monkeypatch):
    for name in [each for each in registry.METHODS if each not in ("levels", "min_entropy")]:
        del registry.METHODS[name]
    benchmark.main(["--seeds", "0", "--output", str(tmp_path)])
    ((runs, _),) = run_all
    assert [run.name for run in runs] == [
        *("source_only_seed0", "source_only_longer_seed0", "source_only_further_seed0"),
        *("levels_seed0", "min_entropy_seed0"),
    ]


def test_published_numbers_are_of_methods_that_exist():
    assert set(benchmark.PUBLISHED) - {"source only"} <= set(adaptation.METHODS)


def test_a_row_takes_the_last_checkpoint_of_a_run(tmp_path):
    workdir = write_run(tmp_path / "min_entropy_seed0", miou=0.3, rounds=0)
    summary = json.loads((workdir / "summary.json").read_text())
    (workdir / "summary.json").write_text(json.dumps({**summary, "warmup_miou": 0.9}))
    assert results.read(workdir).miou == 0.3
