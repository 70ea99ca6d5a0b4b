"""Rows have short names, and differences are paired by seed."""

import pytest
from scipy import stats

from labor_jax.experiment.report import comparison, comparison_text, results
from tests.experiment.report.tables import cells, compare
from tests.finished_runs import write_run


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
    assert [
        cells(line) for line in comparison_text.differences_markdown(table).splitlines()[::2]
    ] == [
        ["method", "common seeds", "to a", "95% interval"],
        ["b", "3", "+2.7", f"{100 * expected.low:+.1f} to {100 * expected.high:+.1f}"],
    ]


def test_one_common_seed_has_no_interval_and_none_no_difference(tmp_path):
    rows = rows_of(tmp_path, a=[0.5, 0.6], b=[0.4, None], c=[None, None, 0.4])
    assert comparison.difference(rows["b"], rows["a"]) == (1, pytest.approx(-0.1), None)
    assert comparison.difference(rows["c"], rows["a"]) is None
    table = comparison.Table(("method",), tuple(rows.values()))
    assert [
        cells(line)[1:] for line in comparison_text.differences_markdown(table).splitlines()[2:]
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
    fields = {"method": "spl", "acquisition__radius": 7, "acquisition__fraction": 7}
    workdirs = [write_run(tmp_path / "plain_seed0"), write_run(tmp_path / "plain_seed1", seed=1)]
    workdirs += [write_run(tmp_path / f"other_{name}", **{name: fields[name]}) for name in fields]
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
