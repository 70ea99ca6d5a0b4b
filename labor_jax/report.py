"""Writes a run's report anew: `labor-jax report RUN [--output FILE]`.

RUN is the workdir of a run that is over, that waits for answers, or that was stopped. The report
shows what its files hold now: stages, costs, and pictures of some images of the pool.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from labor_jax import command_line

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's workdir, as RUN.")
_OUTPUT = flags.DEFINE_string("output", None, "The file to write. Default: report.html in RUN.")


def main(argv: Sequence[str]) -> None:
    """Writes a report and prints its path."""
    runs = [*argv[1:], *filter(None, [_WORKDIR.value])]
    if len(runs) != 1:
        raise app.UsageError(
            "Give the workdir of one run, as in labor-jax report runs/x; "
            f"{f'{len(runs)} were given, and a report is of one' if runs else 'none was given'}."
        )
    from labor_jax.experiment import current_report

    output = None if _OUTPUT.value is None else Path(_OUTPUT.value)
    print(current_report.write(runs[0], output))


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
