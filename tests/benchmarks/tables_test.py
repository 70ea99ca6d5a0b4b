"""Where the tables of benchmarks are shown and written."""

from benchmarks import tables
from labor_jax.experiment.report import comparable_runs, comparison_text, results
from tests.finished_runs import write_run


def test_a_table_is_printed_and_written_in_three_formats(tmp_path, capsys):
    table = comparable_runs.compare([results.read(write_run(tmp_path / "a"))])
    tables.publish(table, tmp_path)
    assert capsys.readouterr().out == (tmp_path / "table.md").read_text()
    assert (tmp_path / "table.csv").read_text() == comparison_text.as_csv(table)
    assert "1 run on street" in (tmp_path / "table.html").read_text()
    tables.publish(table, tmp_path, "another table\n")
    assert (tmp_path / "table.md").read_text() == "another table\n" == capsys.readouterr().out


def test_a_row_has_the_runs_that_did_not_fail(tmp_path):
    for seed in range(3):
        write_run(tmp_path / f"spl_seed{seed}", seed=seed)
    names = ["spl_seed0", "spl_seed1", "spl_seed2", "spl_more_seed0"]
    row = tables.read_row(("SPL",), tmp_path, "spl", names, {"spl_seed1": "broke"})
    assert row.cells == ("SPL",)
    assert [result.seed for result in row.results] == [0, 2]
