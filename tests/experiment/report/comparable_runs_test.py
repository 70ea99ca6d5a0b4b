"""Which runs are a row of a table, and which are left out."""

import json
import statistics

import pytest

from labor_jax.experiment.report import comparable_runs, results
from tests.experiment.report.tables import compare, lines
from tests.finished_runs import write_run


def test_rows_are_runs_that_differ_in_seed_alone(tmp_path):
    table = compare(
        *(
            write_run(
                tmp_path / f"{fraction}_{seed}",
                seed=seed,
                miou=fraction + seed / 100,
                acquisition__fraction=fraction,
                warm_start=f"start_{seed}",
                log_every=seed + 1,
            )
            for seed in (0, 1)
            for fraction in (0.1, 0.2)
        )
    )
    header, _, *rows = lines(table)
    assert header == [
        *("acquisition.fraction", "labelled", "pixels/image", "clicks/image", "annotation"),
        *("LabOR's estimate", "seed 0", "seed 1", "mean", "std"),
    ]
    std = f"{statistics.stdev([10, 11]):.1f}"
    assert rows == [
        ["0.1", "1.00%", "10", "6", "2.0 h", "1.0 h", "10.0", "11.0", "10.5", std],
        ["0.2", "1.00%", "10", "6", "2.0 h", "1.0 h", "20.0", "21.0", "20.5", std],
    ]


@pytest.mark.parametrize(
    ("methods", "headings"),
    [
        ((("spl", "spl"), ("random", "random")), ("method",)),
        ((("random", "entropy"), ("random", "random")), ("acquisition.method",)),
        ((("ripu_ra", "ripu_ra"), ("ripu_source_free", "ripu_ra")), ("method",)),
        ((("random", "random"),), ("method",)),
        (
            (("random", "random"), ("random", "entropy"), ("spl", "spl")),
            ("method", "acquisition.method"),
        ),
    ],
)
def test_the_method_is_shown_once(methods, headings, tmp_path):
    table = compare(
        *(
            write_run(tmp_path / str(i), method=method, acquisition__method=acquisition)
            for i, (method, acquisition) in enumerate(methods)
        )
    )
    assert table.headings == headings
    assert len(table.rows) == len(methods)


def test_recipes_are_named_beside_the_fields_that_they_set(tmp_path):
    paper = write_run(tmp_path / "paper", recipe="paper", warmup__steps=5)
    today = write_run(tmp_path / "today", recipe="today", warmup__steps=0)
    assert compare(paper, today).headings == ("recipe", "warmup.steps")


def test_other_microbatches_make_another_row(tmp_path):
    """They change random draws and trained batch norm, so the two are no two seeds of one run."""
    one = write_run(tmp_path / "one", seed=0, gradient_accumulation=1)
    two = write_run(tmp_path / "two", seed=1, gradient_accumulation=2, log_every=7)
    table = compare(one, two)
    assert table.headings == ("gradient_accumulation",)
    assert [row.cells for row in table.rows] == [(1,), (2,)]


def test_what_an_extension_adds_to_a_config_makes_no_row_of_its_own(tmp_path):
    plain = write_run(tmp_path / "a", seed=0, round={"terms": {"answers": 1.0}})
    with_terms = {"answers": 1.0, "my_term": 0.0}
    extended = write_run(
        tmp_path / "b",
        seed=1,
        round={"terms": with_terms},
        terms={"my_term": {"rate": 2.0}},
        acquisition__my_temperature=0.5,
    )
    (row,) = compare(plain, extended).rows
    assert [result.seed for result in row.results] == [0, 1]
    used = {"answers": 1.0, "my_term": 0.1}
    third = write_run(tmp_path / "c", round={"terms": used}, terms={"my_term": {"rate": 2.0}})
    table = compare(extended, third)
    assert table.headings == ("round.terms.my_term",)
    assert [row.cells for row in table.rows] == [(0.0,), (0.1,)]


def write_data(workdir, **splits):
    """Writes data.json: of each split, the contents of its images by name."""
    described = {
        role: {
            name: {"size": [4, 6], "image": {"sha256": content}} for name, content in own.items()
        }
        for role, own in splits.items()
    }
    (workdir / "data.json").write_text(json.dumps(described))
    return workdir


def test_runs_on_other_data_are_another_row(tmp_path):
    """Their configs are alike: folders may be moved, so where data lie is no difference."""
    first, second, other = (
        write_data(
            write_run(tmp_path / name, seed=seed, data={"root": name}),
            pool={"1": content},
            evaluation={"2": "same"},
        )
        for name, seed, content in (("a", 0, "sun"), ("b", 1, "sun"), ("c", 0, "rain"))
    )
    table = compare(first, other, second)
    assert table.headings == ("method", "data")
    assert [row.cells for row in table.rows] == [
        ("random", f"data of {first}"),
        ("random", f"data of {other}"),
    ]
    assert [len(row.results) for row in table.rows] == [2, 1]
    unknown = write_run(tmp_path / "d", seed=3)
    assert len(compare(first, unknown).rows) == len(compare(first, second).rows) == 1


def test_miou_on_other_images_is_left_out(tmp_path):
    kept, other = (
        write_data(write_run(tmp_path / name), pool={"1": "x"}, evaluation={"2": name})
        for name in "ab"
    )
    told = []
    found = [results.read(workdir) for workdir in (kept, other)]
    assert comparable_runs.comparable(found, told.append) == found[:1]
    answers = [each._replace(measured_on="answers") for each in found]
    assert comparable_runs.comparable(answers, told.append) == answers  # of one pool
    assert told == [
        f"left out: {other} measures mIoU on other images or labels than {kept}; they can't be "
        "compared"
    ]


def test_a_field_that_a_config_lacks_differs(tmp_path):
    write_run(tmp_path / "old")
    write_run(tmp_path / "new", protocol="joint")
    table = compare(tmp_path / "old", tmp_path / "new")
    assert table.headings == ("protocol",)
    assert [row.cells for row in table.rows] == [(None,), ("joint",)]


def test_two_runs_of_one_config_and_seed_are_refused(tmp_path):
    for name in "ab":
        write_run(tmp_path / name)
    with pytest.raises(results.ResultsError, match=r"a and .*b are runs of the same config"):
        compare(tmp_path / "a", tmp_path / "b")


def test_nothing_finished_is_said():
    with pytest.raises(results.ResultsError, match="None of the runs is finished"):
        comparable_runs.compare([])


def test_only_runs_of_one_pair_and_its_classes_are_comparable(tmp_path):
    first = results.read(write_run(tmp_path / "first"))
    alike = results.read(write_run(tmp_path / "alike", seed=1))
    others = {
        "a run on camvid": results.read(write_run(tmp_path / "pair", pair="camvid")),
        "other classes (1)": alike._replace(classes=("road",)),
        "measured no mIoU": alike._replace(miou=None),
        "measures mIoU on answers": alike._replace(measured_on="answers"),
    }
    told = []
    assert comparable_runs.comparable([first, *others.values(), alike], told.append) == [
        first,
        alike,
    ]
    for line, (reason, result) in zip(told, others.items(), strict=True):
        assert line.startswith(f"left out: {result.workdir} ") and reason in line
