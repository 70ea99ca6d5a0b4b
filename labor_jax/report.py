"""Writes a run's report anew, or compares runs: `labor-jax report RUN [RUN …] [--output FILE]`.

RUN is the workdir of a run that is over, that waits for answers, or that was stopped. The report
shows what its files hold now: stages, costs, and pictures of some images of the pool.

Of several RUNs, which must be over, one page compares them: the mean and spread of those that
differ in their seed alone, differences to the first, seed by seed, with their confidence intervals,
each class, and what was asked. Its table is printed, and written beside it as .md and .csv.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from labor_jax import command_line

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's workdir, as RUN.")
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "The file to write. Default: report.html in RUN; of several runs, comparison.html here. A file "
    "that labor-jax did not write is never replaced.",
)


def main(argv: Sequence[str]) -> None:
    """Writes a report or a comparison and prints its path."""
    runs = [os.path.expanduser(run) for run in (*argv[1:], _WORKDIR.value) if run]
    if not runs:
        raise app.UsageError(
            "Give the workdir of a run, as in labor-jax report runs/x, or of several to compare."
        )
    output = None if _OUTPUT.value is None else Path(os.path.expanduser(_OUTPUT.value))
    if len(runs) == 1:
        from labor_jax.experiment.report import current

        print(current.write(runs[0], output))
        return
    from labor_jax.experiment.report import comparison_page

    written = comparison_page.write(map(Path, runs), output or Path("comparison.html"))
    for note in written.notes:
        print(note, file=sys.stderr)
    print(f"{written.text}\n{written.page}, {written.markdown}, {written.csv}")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
