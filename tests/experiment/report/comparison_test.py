"""Tables of workdirs: what is a row, what is a column, and what is told of the rest."""

import csv
import io
import json
import statistics

import pytest
from scipy import stats

from labor_jax.experiment.report import comparison, results
from tests.finished_runs import write_run


def compare(*workdirs):
    return comparison.compare([results.read(workdir) for workdir in workdirs])


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def lines(table):
    return [cells(line) for line in comparison.markdown(table).splitlines()]


def test_whole_images_are_no_clicks(tmp_path):
    workdir = write_run(tmp_path / "a", acquisition__method="all")
    assert results.read(workdir).clicks_per_image is None
    table = compare(workdir)
    assert lines(table)[2][1:5] == ["1.00%", "10", "-", "2.0 h"]
    (line,) = csv.DictReader(io.StringIO(comparison.as_csv(table)))
    assert line["clicks_per_image"] == ""
    start = results.read(write_run(tmp_path / "start", acquisition__method="all", rounds=0))
    assert start.clicks_per_image == 0


def test_people_may_be_shown_fewer_columns_than_files_have(tmp_path):
    table = compare(write_run(tmp_path / "a"))
    shown = table._replace(columns=("labelled_fraction", "clicks_per_image"))
    assert lines(shown)[0] == ["method", "labelled", "clicks/image", "seed 0", "mean"]
    assert lines(shown)[2] == ["random", "1.00%", "6", "50.0", "50.0"]
    assert comparison.as_csv(shown) == comparison.as_csv(table)


def test_bars_in_cells_are_escaped():
    table = comparison.markdown_lines(["a|b", "n"], [["c|d", 1]], text_columns=1)
    assert table == "| a\\|b | n |\n| --- | ---: |\n| c\\|d | 1 |\n"


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


def test_a_seed_that_lacks_is_a_hyphen_and_one_seed_has_no_deviation(tmp_path):
    table = compare(
        write_run(tmp_path / "a", seed=0, acquisition__radius=1),
        write_run(tmp_path / "b", seed=1, acquisition__radius=1),
        write_run(tmp_path / "c", seed=1, acquisition__radius=2),
    )
    assert lines(table)[3][6:] == ["-", "50.0", "50.0", "-"]
    assert "std" not in lines(compare(tmp_path / "c"))[0]


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
    assert comparison.comparable(found, told.append) == found[:1]
    answers = [each._replace(measured_on="answers") for each in found]
    assert comparison.comparable(answers, told.append) == answers  # of one pool
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
        comparison.compare([])


def test_the_csv_has_a_line_a_run_at_full_precision(tmp_path):
    table = compare(
        write_run(tmp_path / "a", seed=0, miou=1 / 3),
        write_run(tmp_path / "b", seed=1, miou=2 / 3, pixels=7),
        write_run(tmp_path / "c", seed=1, acquisition__radius=2),
    )
    read = list(csv.DictReader(io.StringIO(comparison.as_csv(table))))
    assert [float(line["miou"]) for line in read] == [1 / 3, 2 / 3, 0.5]
    assert [line["acquisition.radius"] for line in read] == ["1", "1", "2"]
    assert [line["seed"] for line in read] == ["0", "1", "1"]
    assert float(read[1]["pixels_per_image"]) == 7
    assert read[2]["workdir"] == str(tmp_path / "c")


def test_the_share_of_supervised_is_seed_by_seed(tmp_path):
    rows = [
        comparison.Row((name,), tuple(map(results.read, workdirs)))
        for name, workdirs in {
            "spl": [
                write_run(tmp_path / "spl0", seed=0, miou=0.2),
                write_run(tmp_path / "spl1", seed=1, miou=0.3),
                write_run(tmp_path / "spl2", seed=2, miou=0.9),
            ],
            "supervised": [
                write_run(tmp_path / "all0", seed=0, miou=0.4),
                write_run(tmp_path / "all1", seed=1, miou=0.4),
            ],
            "failed": [],
        }.items()
    ]
    found = lines(comparison.Table(("method",), tuple(rows), rows[1]))
    assert found[0][-1] == "of supervised"
    assert [line[-1] for line in found[2:]] == ["62.5%", "100.0%", "-"]
    assert found[4] == ["failed", *["-"] * (len(found[0]) - 1)]


def test_small_shares_keep_two_digits(tmp_path):
    workdir = write_run(tmp_path / "a")
    summary = json.loads((workdir / "summary.json").read_text())
    summary["rounds"][-1]["labelled_fraction"] = 40 / 172800 / 8
    (workdir / "summary.json").write_text(json.dumps(summary))
    assert lines(compare(workdir))[2][1] == "0.0029%"


def rows_of(tmp_path, **mious):
    """Rows by name, from the mIoU of each seed; None for no run of that seed."""
    return {
        name: comparison.Row(
            (name,),
            tuple(
                results.read(write_run(tmp_path / f"{name}{seed}", seed=seed, miou=miou))
                for seed, miou in enumerate(values)
                if miou is not None
            ),
        )
        for name, values in mious.items()
    }


def test_differences_are_paired_by_seed_with_students_interval(tmp_path):
    rows = rows_of(tmp_path, a=[0.5, 0.6, 0.4, 0.9], b=[0.53, 0.61, 0.44, None])
    found = comparison.difference(rows["b"], rows["a"])
    expected = stats.ttest_rel([0.53, 0.61, 0.44], [0.5, 0.6, 0.4]).confidence_interval(0.95)
    assert found.seeds == 3
    assert found.mean == pytest.approx((0.03 + 0.01 + 0.04) / 3)
    assert found.interval == pytest.approx((expected.low, expected.high))
    table = comparison.Table(("method",), tuple(rows.values()))
    assert [cells(line) for line in comparison.differences_markdown(table).splitlines()[::2]] == [
        ["method", "common seeds", "to a", "95% interval"],
        ["b", "3", "+2.7", f"{100 * expected.low:+.1f} to {100 * expected.high:+.1f}"],
    ]


def test_one_common_seed_has_no_interval_and_none_no_difference(tmp_path):
    rows = rows_of(tmp_path, a=[0.5, 0.6], b=[0.4, None], c=[None, None, 0.4])
    assert comparison.difference(rows["b"], rows["a"]) == (1, pytest.approx(-0.1), None)
    assert comparison.difference(rows["c"], rows["a"]) is None
    table = comparison.Table(("method",), tuple(rows.values()))
    assert [
        cells(line)[1:] for line in comparison.differences_markdown(table).splitlines()[2:]
    ] == [
        ["1", "-10.0", "-"],
        ["0", "-", "-"],
    ]
    assert table._replace(compared_with=rows["b"]).reference is rows["b"]


def test_rows_are_named_by_what_tells_them_apart(tmp_path):
    table = compare(
        write_run(tmp_path / "a", method="spl", acquisition__radius=1, protocol="joint"),
        write_run(tmp_path / "b", method="ppl", acquisition__radius=1),
        write_run(tmp_path / "c", method="ppl", acquisition__radius=2),
    )
    assert table.headings == ("method", "acquisition.radius", "protocol")
    named = table.named()
    assert named.headings == ("method", "acquisition.radius")
    assert [named.name(row) for row in named.rows] == ["spl", "ppl, radius=1", "ppl, radius=2"]


def test_rows_that_differ_in_many_fields_have_the_names_of_their_workdirs(tmp_path):
    fields = ("method", "acquisition__radius", "acquisition__fraction")
    workdirs = [write_run(tmp_path / "plain_seed0"), write_run(tmp_path / "plain_seed1", seed=1)]
    workdirs += [write_run(tmp_path / f"other_{each}", **{each: 7}) for each in fields]
    named = compare(*workdirs).named()
    assert [named.name(row) for row in named.rows] == [
        "plain",
        *(f"other_{each}" for each in fields),
    ]


def test_a_name_hides_no_setting_that_differs_between_runs_of_one_method(tmp_path):
    table = compare(
        write_run(tmp_path / "all", method="supervised"),
        write_run(tmp_path / "small", method="ppl", acquisition__radius=1),
        write_run(tmp_path / "large", method="ppl", acquisition__radius=2, protocol="joint"),
    )
    assert [row.cells for row in table.named().rows] == [("all",), ("small",), ("large",)]


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
    assert comparison.comparable([first, *others.values(), alike], told.append) == [first, alike]
    for line, (reason, result) in zip(told, others.items(), strict=True):
        assert line.startswith(f"left out: {result.workdir} ") and reason in line


def test_a_seed_without_a_mean_iou_is_a_hyphen(tmp_path):
    measured, other = (results.read(write_run(tmp_path / str(i), seed=i)) for i in (0, 1))
    row = comparison.Row(("spl",), (measured, other._replace(miou=None)))
    assert lines(comparison.Table(("method",), (row,)))[2][-4:] == ["50.0", "-", "50.0", "-"]
