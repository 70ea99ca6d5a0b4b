"""Tables as markdown and CSV: what is told of a row."""

import csv
import io
import json

from labor_jax.experiment.report import comparison, comparison_text, results
from tests.experiment.report.tables import compare, lines
from tests.finished_runs import write_run


def test_whole_images_are_no_clicks(tmp_path):
    workdir = write_run(tmp_path / "a", acquisition__method="all")
    assert results.read(workdir).clicks_per_image is None
    table = compare(workdir)
    assert lines(table)[2][1:5] == ["1.00%", "10", "-", "2.0 h"]
    (line,) = csv.DictReader(io.StringIO(comparison_text.as_csv(table)))
    assert line["clicks_per_image"] == ""
    start = results.read(write_run(tmp_path / "start", acquisition__method="all", rounds=0))
    assert start.clicks_per_image == 0


def test_a_time_says_what_it_follows_from_and_two_kinds_have_no_mean(tmp_path):
    def cell(*sources):
        runs = [
            results.read(write_run(tmp_path / "run", seed=seed))._replace(annotation_source=source)
            for seed, source in enumerate(sources)
        ]
        row, column = comparison.Row(("spl",), tuple(runs)), comparison.COLUMNS["annotation_hours"]
        return comparison_text.mean(row, column), comparison_text.sorting_key(row, column)

    assert cell("published", "published") == ("2.0 h", 2)
    assert cell("measured", "measured") == ("2.0 h, measured", 2)
    assert cell("published", "measured") == ("2.0 h, measured; 2.0 h, published", None)
    (line,) = csv.DictReader(
        io.StringIO(comparison_text.as_csv(compare(write_run(tmp_path / "run"))))
    )
    assert line["annotation_source"] == "published"


def test_the_time_of_the_source_alone_is_unknown(tmp_path):
    start = results.read(write_run(tmp_path / "start", rounds=0))
    row = comparison.Row(("source_only",), (start.before_adaptation(),))
    table = comparison.Table(("method",), (row,))
    (line,) = csv.DictReader(io.StringIO(comparison_text.as_csv(table)))
    assert line["wall_seconds"] == ""


def test_people_may_be_shown_fewer_columns_than_files_have(tmp_path):
    table = compare(write_run(tmp_path / "a"))
    shown = table._replace(columns=("labelled_fraction", "clicks_per_image"))
    assert lines(shown)[0] == ["method", "labelled", "clicks/image", "seed 0", "mean"]
    assert lines(shown)[2] == ["random", "1.00%", "6", "50.0", "50.0"]
    assert comparison_text.as_csv(shown) == comparison_text.as_csv(table)


def test_bars_in_cells_are_escaped():
    table = comparison_text.markdown_lines(["a|b", "n"], [["c|d", 1]], text_columns=1)
    assert table == "| a\\|b | n |\n| --- | ---: |\n| c\\|d | 1 |\n"


def test_a_seed_that_lacks_is_a_hyphen_and_one_seed_has_no_deviation(tmp_path):
    table = compare(
        write_run(tmp_path / "a", seed=0, acquisition__radius=1),
        write_run(tmp_path / "b", seed=1, acquisition__radius=1),
        write_run(tmp_path / "c", seed=1, acquisition__radius=2),
    )
    assert lines(table)[3][6:] == ["-", "50.0", "50.0", "-"]
    assert "std" not in lines(compare(tmp_path / "c"))[0]


def test_the_csv_has_a_line_a_run_at_full_precision(tmp_path):
    table = compare(
        write_run(tmp_path / "a", seed=0, miou=1 / 3),
        write_run(tmp_path / "b", seed=1, miou=2 / 3, pixels=7),
        write_run(tmp_path / "c", seed=1, acquisition__radius=2),
    )
    read = list(csv.DictReader(io.StringIO(comparison_text.as_csv(table))))
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
                write_run(tmp_path / "spl3", seed=3, miou=0.9),
            ],
            "supervised": [
                write_run(tmp_path / "all0", seed=0, miou=0.4),
                write_run(tmp_path / "all1", seed=1, miou=0.4),
                write_run(tmp_path / "all3", seed=3, miou=0.0),  # nothing is a share of that
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


def test_a_seed_without_a_mean_iou_is_a_hyphen(tmp_path):
    measured, other = (results.read(write_run(tmp_path / str(i), seed=i)) for i in (0, 1))
    row = comparison.Row(("spl",), (measured, other._replace(miou=None)))
    assert lines(comparison.Table(("method",), (row,)))[2][-4:] == ["50.0", "-", "50.0", "-"]
