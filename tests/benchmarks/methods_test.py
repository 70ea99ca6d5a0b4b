"""The tables of methods: which runs they need, and their rows."""

import re

import pytest

from benchmarks import methods, runner
from labor_jax.experiment.report import results
from tests.finished_runs import write_run


@pytest.fixture
def run_all(monkeypatch):
    """Stands in for training; runs whose name has "margin" fail."""
    calls = []

    def run_all(runs, output, jobs):
        calls.append(runs)
        for run in runs:
            if "margin" not in run.name:
                supervised = "supervised" in run.name
                write_run(
                    output / run.name,
                    seed=int(run.overrides["seed"]),
                    miou=0.8 if supervised else 0.4,
                    pixels=47,
                    acquisition__method="all" if supervised else "random",
                )
        return {run.name: "broke" for run in runs if "margin" in run.name}

    monkeypatch.setattr(methods, "run_all", run_all)
    return calls


def test_labors_methods_start_from_one_model_a_seed():
    runs = methods.labor_runs("camvid", [0, 1], ("-x",))
    assert [run.name for run in runs[:3]] == ["start_seed0", "start_seed1", "supervised_seed0"]
    assert {run.start for run in runs[:2]} == {""}
    assert [run.start for run in runs[2:]] == ["start_seed0"] * 3 + ["start_seed1"] * 3
    assert [run.config for run in runs[2:5]] == [
        f"configs/{name}.py:camvid" for name in ("supervised", "spl", "ppl")
    ]
    assert all(run.extra == ("-x",) for run in runs)


def test_random_pixels_get_the_others_budgets(tmp_path):
    spl = results.read(write_run(tmp_path / "spl", pixels=30))
    ppl = results.read(write_run(tmp_path / "ppl", pixels=47))
    points, share = methods.labor_random_runs("street", {3: (spl, ppl)}, ())
    assert points.name == "random_points_seed3"
    assert points.overrides == {
        "seed": "3",
        "acquisition.points": "47",
        "acquisition.fraction": "0",
    }
    assert share.overrides == {
        "seed": "3",
        "acquisition.points": "0",
        "acquisition.fraction": "0.030000",
    }
    assert points.start == share.start == "start_seed3"


def test_a_warm_up_of_no_steps_is_no_row(tmp_path):
    names = [f"{name}_seed0" for name in ("start", "ppl", "supervised")]
    for name in names:
        write_run(tmp_path / name, warmup__steps=0)
    table = methods.labor_table(tmp_path, names, {})
    assert [row.cells for row in table.rows if row.results] == [
        *(("source_only",), ("ppl",), ("supervised",))
    ]


def test_labors_table(run_all, tmp_path, capsys):
    assert methods.main(["--seeds", "0", "1", "--output", str(tmp_path)]) == 0
    assert [len(runs) for runs in run_all] == [8, 4]
    out = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in out.splitlines()]
    assert rows[0] == [
        *("method", "labelled", "pixels/image", "clicks/image", "annotation"),
        *("LabOR's estimate", "seed 0", "seed 1", "mean", "std", "of supervised"),
    ]
    assert [row[0] for row in rows[2:]] == [
        *("source_only", "warmup", "random, PPL's points", "ppl"),
        *("random, SPL's share", "spl", "supervised"),
    ]
    assert rows[2][1:9] == ["0.00%", "0", "0", "0 h", "0 h", "20.0", "20.0", "20.0"]
    assert [row[-1] for row in rows[2:]] == ["25.0%", *["50.0%"] * 5, "100.0%"]
    assert [row[3] for row in rows[2:]] == ["0", *["6"] * 5, "-"]
    assert (tmp_path / "table.md").read_text() == out


def test_acquisition_gives_each_method_its_budget_field():
    entries = methods.acquisition_entries([40, 160], [0.022], methods.METHODS)
    budgets = {entry.name: entry.overrides for entry in entries}
    points = {"acquisition.points": "160", "acquisition.fraction": "0"}
    share = {"acquisition.points": "0", "acquisition.fraction": "0.022"}
    for method in ("random", "entropy", "core_set", "ripu_pa"):
        assert budgets[f"{method}_points160"] == points
    for method in (
        *("random", "random_regions", "entropy", "least_confidence", "margin"),
        *("impurity", "uncertainty", "ripu_ra"),
    ):
        assert budgets[f"{method}_share0.022"] == share
    assert budgets["spl_share0.022"] == {"acquisition.max_fraction": "0.022"}
    assert budgets["ppl"] == budgets["human_points"] == budgets["supervised"] == {}
    assert len(entries) == 2 * 4 + 9 + 3
    assert len({entry.cells for entry in entries}) == len(entries)


def test_acquisition_runs_start_from_one_run_a_seed():
    entries = methods.acquisition_entries([40], [0.022], ["ripu_ra", "supervised"])
    runs = methods.acquisition_runs(entries, "camvid", [0, 5], ("-x",))
    assert [run.name for run in runs] == [
        *("start_seed0", "start_seed5"),
        *("ripu_ra_share0.022_seed0", "supervised_seed0"),
        *("ripu_ra_share0.022_seed5", "supervised_seed5"),
    ]
    assert runs[1].config == "configs/active.py:random,camvid"
    assert runs[1].overrides == {"seed": "5", "rounds": "0"}
    assert [run.config for run in runs[2:4]] == [
        "configs/active.py:ripu_ra,camvid",
        "configs/active.py:all,camvid",
    ]
    assert [run.start for run in runs[2:]] == ["start_seed0"] * 2 + ["start_seed5"] * 2


@pytest.mark.slow
def test_every_acquisition_run_has_a_config_of_its_own(tmp_path):
    entries = methods.acquisition_entries([5, 40], [0.001, 0.022], methods.METHODS)
    runs = methods.acquisition_runs(entries, "street", [0], ())
    configs = {run.name: runner.load_config(run, tmp_path) for run in runs}
    runner.check_distinct(runs, configs)
    assert {config["protocol"] for config in configs.values()} == {"joint"}


def test_the_acquisition_table_has_what_is_finished(run_all, tmp_path, capsys):
    arguments = ["--table", "acquisition", "--seeds", "0", "1", "--output", str(tmp_path)]
    chosen = ["--methods", "random", "margin", "supervised", "--fractions", "0.001", "0.05"]
    assert methods.main([*arguments, *chosen]) == 1
    captured = capsys.readouterr()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in captured.out.splitlines()
    ]
    assert rows[0][:7] == [
        *("method", "budget", "labelled", "pixels/image", "clicks/image", "annotation", "seed 0"),
    ]
    assert (
        (tmp_path / "table.csv")
        .read_text()
        .startswith(
            "method,budget,seed,labelled_fraction,pixels_per_image,clicks_per_image,"
            "seconds_per_image,annotation_hours,labor_hours,"
        )
    )
    assert [tuple(row[:2]) for row in rows[2:]] == [
        ("at the first query", "nothing asked yet"),
        ("random pixels", "0.1%"),
        ("margin", "0.1%"),
        ("random pixels", "5%"),
        ("margin", "5%"),
        ("supervised", "all"),
    ]
    assert [row[-1] for row in rows[2:]] == ["50.0%", "50.0%", "-", "50.0%", "-", "100.0%"]
    assert len(re.findall("failed:", captured.err)) == 4


def test_without_supervised_there_is_no_share_of_it(run_all, tmp_path, capsys):
    arguments = ["--table", "acquisition", "--methods", "ripu_pa", "--output", str(tmp_path)]
    assert methods.main([*arguments, "--points", "5"]) == 0
    assert "of supervised" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("budgets", "expected"),
    [
        ([], ["entropy_points40", "entropy_share0.022"]),
        (["--points", "5", "40"], ["entropy_points5", "entropy_points40"]),
        (["--fractions", "0.05"], ["entropy_share0.05"]),
        (["--points", "5", "--fractions", "0.05"], ["entropy_points5", "entropy_share0.05"]),
    ],
)
def test_only_the_budgets_that_are_given_are_compared(run_all, tmp_path, budgets, expected):
    arguments = ["--table", "acquisition", "--methods", "entropy", "--seeds", "0"]
    assert methods.main([*arguments, *budgets, "--output", str(tmp_path)]) == 0
    assert [run.name for run in run_all[0]] == [
        *("start_seed0", *(f"{name}_seed0" for name in expected)),
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--methods", "ripu_pa", "--fractions", "0.05"], "shares; give --points"),
        (["--methods", "margin", "spl", "--points", "5"], "points; give --fractions"),
    ],
)
def test_methods_without_a_budget_to_compare_them_at_are_told(
    run_all, tmp_path, capsys, arguments, says
):
    given = ["--table", "acquisition", *arguments, "--output", str(tmp_path)]
    assert methods.main(given) == 1
    assert says in capsys.readouterr().err
    assert not run_all


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--fractions", "0.022", "0.00549"],
            "random_regions_share0.00549_seed0: .*0.0055 or more",
        ),
        (["--points", "-1"], "points-1_seed0: config.acquisition.points is -1"),
        (["--pair", "camvid", "--", "--config.data.root=/none"], "/none"),
    ],
)
def test_a_budget_without_a_question_is_told_before_the_start(
    arguments, says, run_all, tmp_path, capsys
):
    own = ["--table", "acquisition", "--output", str(tmp_path), "--methods", "random_regions"]
    assert methods.main([*own, "random", *arguments]) == 1
    assert re.search(says, capsys.readouterr().err)
    assert not run_all


def test_a_share_that_is_no_number_is_told(capsys):
    with pytest.raises(SystemExit):
        methods.main(["--table", "acquisition", "--fractions", "nan"])
    assert "argument --fractions: nan is no number above 0" in capsys.readouterr().err


def test_labors_budgets_are_checked_before_the_start(run_all, tmp_path, capsys):
    flag = "--config.acquisition.max_fraction=1e-9"
    assert methods.main(["--output", str(tmp_path), "--", flag]) == 1
    assert "spl_seed0: config.acquisition.max_fraction" in capsys.readouterr().err
    assert not run_all


def test_budgets_are_not_labors(capsys):
    with pytest.raises(SystemExit):
        methods.main(["--points", "5"])
    assert "--table acquisition" in capsys.readouterr().err
