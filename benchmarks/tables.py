"""What the tables of benchmarks share: their rows, and where they are shown and written."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from labor_jax.atomic_files import write_atomically
from labor_jax.experiment.report import comparison_page, comparison_text, results
from labor_jax.experiment.report.comparison import Row, Table


def to_stderr(text: str) -> None:
    """Prints a line for people on stderr, where it doesn't mix with a table."""
    print(text, file=sys.stderr, flush=True)


def read_row(
    cells: tuple[str, ...], output: Path, name: str, names: Iterable[str], problems: dict[str, str]
) -> Row:
    """The row of the runs `NAME_seedN` that are finished.

    Args:
      cells: the row's.
      output: the folder of the workdirs.
      name: of the runs, before the seed.
      names: of all runs of the table.
      problems: of `runner.run_all`.
    """
    finished = [
        output / run for run in names if run.rpartition("_seed")[0] == name and run not in problems
    ]
    return Row(cells, tuple(results.read(workdir) for workdir in finished))


def publish(table: Table, folder: Path, text: str | None = None) -> None:
    """Prints a table, and writes table.md, table.csv and table.html, the comparison of its runs.

    Args:
      table: with results.
      folder: where the files go.
      text: the markdown, if it is another than `comparison_text.markdown`.

    Raises:
      ResultsError: no run measured an mIoU.
    """
    text = comparison_text.markdown(table) if text is None else text
    print(text, end="")
    write_atomically(folder / "table.md", text)
    comparison_text.write(table, folder / "table.csv")
    comparison_page.write_page(table, folder / "table.html", comparison_page.seed_notes(table))
