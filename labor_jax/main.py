"""The command line: `python -m labor_jax.main --config configs/spl.py [--workdir DIR]`."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags
from ml_collections import config_flags

from labor_jax import command_line

_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "The experiment: configs/NAME.py or configs/NAME.py:PAIR; any field can be overridden, as in "
    "--config.rounds=2.",
    lock_config=True,
)
_WORKDIR = flags.DEFINE_string(
    "workdir",
    None,
    "The folder for everything the run writes, and from which the same command resumes it "
    "(default: runs/METHOD_PAIR_seedN, or runs/METHOD_joint_PAIR_seedN under joint training).",
)


def main(argv: Sequence[str]) -> None:
    """Runs or resumes the experiment and prints its table."""
    if len(argv) > 1:
        raise app.UsageError(f"Unknown argument: {argv[1]}")
    config = _CONFIG.value
    if config is None:
        raise app.UsageError("Give an experiment, e.g. --config configs/spl.py")
    command_line.settle(config)
    protocol = "_joint" if config.protocol == "joint" else ""
    name = f"{config.method}{protocol}_{config.pair}_seed{config.seed}"
    workdir = _WORKDIR.value or Path("runs") / name

    from labor_jax import experiment  # after the flags: a mistyped one should fail at once
    from labor_jax.evaluation import report

    logging.info("Workdir: %s", workdir)
    summary = experiment.run(config, workdir)
    print(report.text_table(summary))
    print(f"\n{workdir}: summary.json, report.html, metrics.jsonl, labels.sqlite, checkpoints/")


if __name__ == "__main__":
    sys.exit(command_line.run(main))
