"""Tables of workdirs: what is a row, what is a column, and what is told of the rest."""

import csv
import io
import json
import statistics

import pytest

from benchmarks import results
from tests.benchmarks.fakes import write_run


def compare(*workdirs):
    return results.compare([results.read(workdir) for workdir in workdirs])


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def lines(table):
    return [cells(line) for line in results.markdown(table).splitlines()]


def test_a_result_is_the_last_rounds_and_clicks_are_an_images(tmp_path):
    result = results.read(write_run(tmp_path / "a", pixels=10, clicks=6, images=4))
    assert result.pixels_per_image == 10
    assert result.clicks_per_image == 6
    assert result.labelled_fraction == 0.01
    assert (result.annotation_hours, result.labor_hours) == (2, 1)


def test_a_run_without_rounds_asks_nothing(tmp_path):
    result = results.read(write_run(tmp_path / "a", rounds=0, miou=0.25))
    assert result[3:10] == (0, 0, 0, 0, 0, 0, 0.25)


def test_a_run_that_asked_no_pixel_has_no_clicks(tmp_path):
    assert results.read(write_run(tmp_path / "a", pixels=0, clicks=0)).clicks_per_image == 0


def test_whole_images_are_no_clicks(tmp_path):
    workdir = write_run(tmp_path / "a", acquisition__method="all")
    assert results.read(workdir).clicks_per_image is None
    table = compare(workdir)
    assert lines(table)[2][1:5] == ["1.00%", "10", "-", "2.0 h"]
    (line,) = csv.DictReader(io.StringIO(results.as_csv(table)))
    assert line["clicks_per_image"] == ""
    start = results.read(write_run(tmp_path / "start", acquisition__method="all", rounds=0))
    assert start.clicks_per_image == 0


def test_a_method_that_is_no_longer_there_is_told(tmp_path):
    told = []
    workdir = write_run(tmp_path / "a", acquisition__method="guess")
    assert results.read_finished([workdir], told.append) == []
    assert "config.acquisition.method is 'guess'" in told[0]


def test_people_may_be_shown_fewer_columns_than_files_have(tmp_path):
    table = compare(write_run(tmp_path / "a"))
    shown = table._replace(columns=("labelled_fraction", "clicks_per_image"))
    assert lines(shown)[0] == ["method", "labelled", "clicks/image", "seed 0", "mean"]
    assert lines(shown)[2] == ["random", "1.00%", "6", "50.0", "50.0"]
    assert results.as_csv(shown) == results.as_csv(table)


def test_bars_in_cells_are_escaped():
    table = results.markdown_lines(["a|b", "n"], [["c|d", 1]], text_columns=1)
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


def test_unfinished_and_foreign_folders_are_told_and_left_out(tmp_path):
    done = write_run(tmp_path / "done")
    open_ = write_run(tmp_path / "open", finished=False)
    broken = write_run(tmp_path / "broken")
    (broken / "summary.json").write_text("{")
    told = []
    found = results.read_finished([done, open_, broken, tmp_path, done], told.append)
    assert [result.workdir for result in found] == [done]
    assert [line.partition(" (")[0] for line in told[:1]] == [f"unfinished, left out: {open_}"]
    assert "damaged" in told[1]
    assert "holds no run" in told[2]


def test_nothing_finished_is_said():
    with pytest.raises(results.ResultsError, match="None of the runs is finished"):
        results.compare([])


def test_the_csv_has_a_line_a_run_at_full_precision(tmp_path):
    table = compare(
        write_run(tmp_path / "a", seed=0, miou=1 / 3),
        write_run(tmp_path / "b", seed=1, miou=2 / 3, pixels=7),
        write_run(tmp_path / "c", seed=1, acquisition__radius=2),
    )
    read = list(csv.DictReader(io.StringIO(results.as_csv(table))))
    assert [float(line["miou"]) for line in read] == [1 / 3, 2 / 3, 0.5]
    assert [line["acquisition.radius"] for line in read] == ["1", "1", "2"]
    assert [line["seed"] for line in read] == ["0", "1", "1"]
    assert float(read[1]["pixels_per_image"]) == 7
    assert read[2]["workdir"] == str(tmp_path / "c")


def test_the_share_of_supervised_is_seed_by_seed(tmp_path):
    rows = [
        results.Row((name,), tuple(map(results.read, workdirs)))
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
    found = lines(results.Table(("method",), tuple(rows), rows[1]))
    assert found[0][-1] == "of supervised"
    assert [line[-1] for line in found[2:]] == ["62.5%", "100.0%", "-"]
    assert found[4] == ["failed", *["-"] * (len(found[0]) - 1)]


def test_small_shares_keep_two_digits(tmp_path):
    workdir = write_run(tmp_path / "a")
    summary = json.loads((workdir / "summary.json").read_text())
    summary["rounds"][-1]["labelled_fraction"] = 40 / 172800 / 8
    (workdir / "summary.json").write_text(json.dumps(summary))
    assert lines(compare(workdir))[2][1] == "0.0029%"


def test_a_table_is_published_in_both_formats(tmp_path, capsys):
    table = compare(write_run(tmp_path / "a"))
    results.publish(table, tmp_path)
    assert capsys.readouterr().out == (tmp_path / "table.md").read_text()
    assert (tmp_path / "table.csv").read_text() == results.as_csv(table)
