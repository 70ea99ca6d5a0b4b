"""Runs an experiment: `labor-jax run CONFIG[:PAIR] [--workdir DIR] [--config.FIELD=VALUE …]`.

The same command resumes a run that was interrupted. `python -m labor_jax.main --config spl:camvid`
is the same as `labor-jax run spl:camvid`.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags
from ml_collections import ConfigDict

from labor_jax import command_line

command_line.define_config("The experiment.")
_WORKDIR = flags.DEFINE_string(
    "workdir",
    None,
    "The folder for everything the run writes. The same command resumes the run in it. Default: "
    "runs/METHOD_PAIR_seedN, with _joint, _paper, _today or _short after METHOD where they apply.",
)
_DISTRIBUTED = flags.DEFINE_bool(
    "distributed",
    False,
    "Join the processes of a cluster that JAX recognises (Slurm, Open MPI, Cloud TPU, GKE). Each "
    "of them runs this command.",
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator_address", None, "On other clusters: HOST:PORT of the first process."
)
_NUM_PROCESSES = flags.DEFINE_integer(
    "num_processes", None, "On other clusters: the number of processes."
)
_PROCESS_ID = flags.DEFINE_integer(
    "process_id", None, "On other clusters: this process's number, from 0."
)
_TENSORBOARD = flags.DEFINE_bool(
    "tensorboard",
    False,
    "Also write numbers and pictures to the folder tensorboard in the workdir. To look at them: "
    "tensorboard --logdir WORKDIR/tensorboard. Needs pip install 'labor_jax[tensorboard]'.",
)
_PROFILE = flags.DEFINE_string(
    "profile",
    None,
    "Write traces of training steps, which show where time goes, to the folder profile in the "
    "workdir: 10 for ten steps of each phase, 20-24 for these, warmup:10 for ten of one phase.",
)


def _name(config: ConfigDict) -> str:
    """The name of the default workdir: what tells a run from the others in `runs/`."""
    from labor_jax.data import PAIRS

    usual = PAIRS[config.pair].recipe if config.pair in PAIRS else config.recipe
    parts = (
        config.method,
        "joint" if config.protocol == "joint" else "",
        config.recipe if config.recipe != usual else "",
        "short" if config.schedule == "short" else "",
        config.pair,
        f"seed{config.seed}",
    )
    return "_".join(part for part in parts if part)


def main(argv: Sequence[str], config: ConfigDict | None) -> None:
    """Runs or resumes the experiment and prints its table."""
    if len(argv) > 1:
        from labor_jax.data import PAIRS

        colon = f" A pair stands behind a colon, as in spl:{argv[1]}." if argv[1] in PAIRS else ""
        raise app.UsageError(f"Unknown argument: {argv[1]}.{colon}")
    if config is None:
        raise app.UsageError(
            "Name an experiment, as in labor-jax run spl. labor-jax --help lists them."
        )
    workdir = _WORKDIR.value or Path("runs") / _name(config)

    _join_processes()
    from labor_jax import experiment  # slow to import, so after the flags are checked
    from labor_jax.atomic_files import write_atomically
    from labor_jax.experiment.workdir import Workdir
    from labor_jax.training import processes

    try:
        summary = experiment.run(
            config, workdir, tensorboard=_TENSORBOARD.value, profile=_PROFILE.value
        )
    except experiment.RoundWaits as waits:
        if processes.is_first():
            command = shlex.join([*command_line.words("run"), *sys.argv[1:]])
            write_atomically(Workdir(workdir).command, command + "\n")  # the tool shows it
            print(f"\n{waits} To label them in a browser:\n")
            label = [*command_line.words("annotate"), "--workdir", str(workdir)]
            print(f"    {shlex.join(label)}\n")
            print("Rerun this command once everything is answered.")
        return
    if processes.is_first():
        from labor_jax.experiment import report

        print(report.text_table(summary))
        print(f"\n{workdir}: summary.json, report.html, metrics.jsonl, labels.sqlite, checkpoints/")


def _join_processes() -> None:
    """Joins the processes that the flags describe, before anything else uses JAX."""
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
    sys.exit(command_line.run(main, with_config=True))
