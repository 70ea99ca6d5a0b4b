"""The command line: `python -m labor_jax.main --config configs/spl.py [--workdir DIR]`."""

import logging
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags
from ml_collections import config_flags

from labor_jax import command_line
from labor_jax.workdir import Workdir, write_atomically

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
_DISTRIBUTED = flags.DEFINE_bool(
    "distributed",
    False,
    "Join the processes of a cluster that JAX knows (Slurm, Open MPI, Cloud TPU, GKE), each of "
    "which runs this command.",
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator_address", None, "Elsewhere: HOST:PORT at which the first process listens,"
)
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "how many processes there are,")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "and which of them this one is, from 0.")


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

    _join_processes()
    from labor_jax import experiment  # after the flags: a mistyped one should fail at once
    from labor_jax.evaluation import report
    from labor_jax.training import processes

    logging.info("Workdir: %s", workdir)
    try:
        summary = experiment.run(config, workdir)
    except experiment.RoundWaits as waits:
        if processes.is_first():
            command = shlex.join(["python", "-m", "labor_jax.main", *sys.argv[1:]])
            write_atomically(Workdir(workdir).command, command + "\n")  # the tool tells it
            print(f"\n{waits} To label them in a browser:\n")
            print(f"    python -m labor_jax.annotate --workdir {workdir}\n")
            print("The same command as now goes on when all are answered.")
        return
    if processes.is_first():
        print(report.text_table(summary))
        print(f"\n{workdir}: summary.json, report.html, metrics.jsonl, labels.sqlite, checkpoints/")


def _join_processes() -> None:
    """Joins the processes that the flags tell of, before anything else uses JAX."""
    from labor_jax.training import processes

    explicit = (_COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value)
    given = [value is not None for value in explicit]
    if not _DISTRIBUTED.value:
        if not any(given):
            return
        if not all(given):
            raise app.UsageError(
                "Give --coordinator_address, --num_processes and --process_id together, or "
                "--distributed alone."
            )
    processes.join(*explicit)


if __name__ == "__main__":
    sys.exit(command_line.run(main))
