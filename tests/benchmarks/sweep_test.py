"""Sweeps: which runs they are, what they are called, and what is said of bad arguments."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import runner, sweep
from benchmarks.runner import RunError
from labor_jax.experiment.report.results import ResultsError
from tests.finished_runs import write_run


@pytest.fixture
def run_all(monkeypatch):
    """Stands in for training: every run is finished at once, but for those named "bad"."""
    calls = []

    def run_all(runs, output, jobs):
        calls.append((runs, output, jobs))
        for run in runs:
            chosen = {name: value for name, value in run.overrides.items() if "." in name}
            fields = {name.replace(".", "__"): value for name, value in chosen.items()}
            if "bad" not in run.name:
                write_run(output / run.name, seed=int(run.overrides["seed"]), **fields)
        return {run.name: "broke" for run in runs if "bad" in run.name}

    monkeypatch.setattr(sweep, "run_all", run_all)
    return calls


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,2", ["1", "2"]),
        ("(1, 2),(3,4)", ["(1, 2)", "(3,4)"]),
        ("'a,b',\"c\"", ["'a,b'", '"c"']),
        ("[(1,2),3]", ["[(1,2),3]"]),
        ("x", ["x"]),
        ("a,", ["a", ""]),
    ],
)
def test_values_are_split_outside_brackets_and_quotes(text, values):
    assert sweep.split_values(text) == values


def test_grids_are_read_with_or_without_the_flags_prefix():
    grids = sweep.parse_grids(["a.b=1,2", "config.rounds=3"], [])
    assert grids == {"a.b": ["1", "2"], "rounds": ["3"]}


def test_recipes_and_schedules_are_swept_by_their_names():
    grids = sweep.parse_grids(["recipe=paper,today", "schedule=full,short"], [])
    assert grids == {"recipe": ["paper", "today"], "schedule": ["full", "short"]}


def test_microbatches_can_be_a_grid(tmp_path):
    """They change random draws and trained batch norm."""
    grids = sweep.parse_grids(["gradient_accumulation=1,2"], [])
    _, runs = sweep.plan(["configs/random.py:street"], grids, [0], [])
    runner.check_distinct(runs, {run.name: runner.load_config(run, tmp_path) for run in runs})


def test_a_flag_of_another_field_is_no_grids():
    extra = ["--config.rounds_of_another=1", "--config.data.rounds", "2", "--rounds=3"]
    assert sweep.parse_grids(["rounds=1"], extra) == {"rounds": ["1"]}


@pytest.mark.parametrize(
    ("grids", "extra", "says"),
    [
        (["rounds"], [], "FIELD=VALUE"),
        (["=1"], [], "FIELD=VALUE"),
        (["rounds=1,"], [], "FIELD=VALUE"),
        (["seed=1,2"], [], "--seeds"),
        (["log_every=1,2"], [], "changes nothing"),
        (["warm_start=x"], [], "changes nothing"),
        (["rounds=1", "rounds=2"], [], "twice"),
        (["rounds=1"], ["--config.rounds=2"], "after --"),
        (["rounds=1"], ["--config.seed", "3", "-config.rounds", "2"], "after --"),
        (["evaluation_flip=True"], ["--noconfig.evaluation_flip"], "after --"),
    ],
)
def test_a_bad_grid_is_told(grids, extra, says):
    with pytest.raises(RunError, match=says):
        sweep.parse_grids(grids, extra)


def test_runs_are_the_product_a_seed_after_the_other():
    configs = ["configs/active.py:ripu_ra", "configs/active.py:random_regions"]
    grids = {"acquisition.radius": ["1", "2"], "rounds": ["3", "5"]}
    starts, runs = sweep.plan(configs, grids, [4, 7], ["--config.data.root=D"])
    assert starts == []
    assert len(runs) == len({run.name for run in runs}) == 2 * 2 * 2 * 2
    assert runs[0].name == "active_ripu_ra_acquisition.radius=1_rounds=3_seed4"
    assert runs[1].name == "active_ripu_ra_acquisition.radius=1_rounds=5_seed4"
    assert runs[-1].config == configs[1]
    assert runs[-1].overrides == {"acquisition.radius": "2", "rounds": "5", "seed": "7"}
    assert [run.overrides["seed"] for run in runs] == ["4"] * 8 + ["7"] * 8
    assert {run.extra for run in runs} == {("--config.data.root=D",)}
    assert {run.start for run in runs} == {""}


def test_a_shared_start_is_the_first_configs_and_has_no_rounds():
    configs = ["configs/active.py:ripu_ra", "configs/active.py:random_regions"]
    starts, runs = sweep.plan(configs, {"rounds": ["3"]}, [0, 1], ["-x"], shared_start=True)
    assert [start.name for start in starts] == ["start_seed0", "start_seed1"]
    assert {start.config for start in starts} == {configs[0]}
    assert starts[1].overrides == {"seed": "1", "rounds": "0"}
    assert starts[0].extra == ("-x",)
    assert [run.start for run in runs] == ["start_seed0"] * 2 + ["start_seed1"] * 2


def test_names_are_readable():
    chosen = {"joint.query_steps": "(100, 200)", "model.pretrained": "/a/b c.pth", "x": "-0.1"}
    name = sweep.run_name("configs/active.py:core_set,camvid", chosen, 3)
    assert name == (
        "active_core_set-camvid_joint.query_steps=100-200_model.pretrained=-a-bc.pth_x=-0.1_seed3"
    )


@given(st.text(), st.text(min_size=1), st.text(max_size=500))
def test_names_are_safe_on_any_file_system(argument, field, value):
    name = sweep.run_name(f"configs/spl.py:{argument}", {field: value}, 0)
    assert re.fullmatch(r"[\w.=+-]+", name)
    assert len(name.encode()) < 250
    assert name == sweep.run_name(f"configs/spl.py:{argument}", {field: value}, 0)


def test_a_sweep_ends_in_a_table(run_all, tmp_path, capsys):
    status = sweep.main(
        [
            *("--config", "configs/ripu_ra.py", "--output", str(tmp_path), "--seeds", "0", "1"),
            *("--grid", "acquisition.radius=1,2", "--jobs", "2", "--shared_start"),
            *("--", "--config.data.root=D"),
        ]
    )
    assert status == 0
    ((runs, output, jobs),) = run_all
    assert (len(runs), output, jobs) == (6, tmp_path, 2)
    table = capsys.readouterr().out
    assert table.startswith("| acquisition.radius | labelled |")
    assert len(table.splitlines()) == 4
    assert (tmp_path / "table.md").read_text() == table
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 5


def test_a_sweep_with_a_failure_still_has_a_table(run_all, tmp_path, capsys):
    arguments = ["--config", "configs/a.py", "--output", str(tmp_path)]
    assert sweep.main([*arguments, "--grid", "acquisition.method=random,bad"]) == 1
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 3
    assert captured.err == "\na_acquisition.method=bad_seed0 failed:\nbroke\n"
    assert sweep.main([*arguments, "--grid", "acquisition.method=bad"]) == 1
    assert capsys.readouterr().out == ""


def test_failures_are_told_although_there_is_no_table(run_all, tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise ResultsError("No table.")

    monkeypatch.setattr(sweep, "publish", refuse)
    arguments = ["--config", "configs/a.py", "--output", str(tmp_path)]
    assert sweep.main([*arguments, "--grid", "acquisition.method=random,bad"]) == 1
    told = capsys.readouterr().err
    assert told == "\na_acquisition.method=bad_seed0 failed:\nbroke\nNo table.\n"


def test_an_output_that_is_a_file_is_a_sentence(tmp_path, capsys):
    file = tmp_path / "file"
    file.touch()
    assert sweep.main(["--config", "random", "--output", str(file)]) == 1
    assert f"{file} is a file, but a folder is needed" in capsys.readouterr().err
    run = str(write_run(tmp_path / "run"))
    assert sweep.main(["--compare", run, "--output", str(file / "x.csv")]) == 1
    assert f"{file} is a file, but a folder is needed" in capsys.readouterr().err


def test_workdirs_become_a_table_and_the_unfinished_are_told(tmp_path, capsys):
    done = write_run(tmp_path / "done")
    unfinished = write_run(tmp_path / "open", finished=False)
    output = tmp_path / "t.csv"
    assert sweep.main(["--compare", str(done), str(unfinished), "--output", str(output)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("| method | labelled |")
    assert captured.err == f"unfinished, left out: {unfinished} (no summary.json)\n"
    assert output.read_text().startswith("method,seed,")
    assert sweep.main(["--compare", str(unfinished)]) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give --config and --output"),
        (["--config", "configs/spl.py"], "give --config and --output"),
        (["--compare", "a", "--config", "b"], "takes only --output"),
        (["--compare", "a", "--output", "b.txt"], ".md or .csv"),
    ],
)
def test_arguments_that_make_no_sense_are_told(arguments, says, capsys):
    with pytest.raises(SystemExit) as raised:
        sweep.main(arguments)
    assert raised.value.code == 2
    assert says in capsys.readouterr().err


def test_more_jobs_than_cores_are_told(tmp_path, capsys):
    arguments = ["--config", "configs/spl.py", "--output", str(tmp_path), "--jobs", "100000"]
    assert sweep.main(arguments) == 1
    assert "each job needs one of its own" in capsys.readouterr().err
