"""The command `labor-jax COMMAND …`, also `python -m labor_jax COMMAND …`."""

import inspect
import runpy
import sys

from labor_jax import command_help
from labor_jax.close_names import did_you_mean

COMMANDS = {
    "run": ("main", "Runs or resumes an experiment: labor-jax run spl:camvid --config.seed=1"),
    "evaluate": ("evaluate", "Prints the mIoU of a run's model, or of published weights."),
    "predict": ("predict", "Writes label maps, overlays and more for images and videos."),
    "frames": ("frames", "Takes frames out of videos, to be a pool without near-duplicates."),
    "export": ("export", "Exports a run's model to ONNX, StableHLO or safetensors."),
    "annotate": ("annotate", "Opens the labelling tool for a run that waits for answers."),
    "strip": ("strip", "Draws an image of a run: the query, the answers, the predictions."),
    "exchange": ("exchange", "Exports queries to another labelling tool and imports its answers."),
    "report": (
        "report",
        "Writes a run's report.html anew, or compares runs: labor-jax report RUN RUN …",
    ),
    "check": ("check", "Looks at a folder of your data, and prints the command that uses it."),
    "build_dataset": ("build_dataset", "Builds a TFDS data set from official folders."),
}
"""The module of each command, and what it does."""


def main() -> int:
    """Runs the command that the first argument names."""
    command, *arguments = sys.argv[1:] or ["--help"]
    if command in ("--help", "-h", "help"):
        try:
            print(_help(), flush=True)
        except BrokenPipeError:
            command_help.discard_output()
        return 0
    if command not in COMMANDS:
        meant = did_you_mean(command, COMMANDS)
        print(
            f"Unknown command {command!r}.{meant} The commands are {', '.join(COMMANDS)}.",
            file=sys.stderr,
        )
        return 1
    if command == "run" and arguments and not arguments[0].startswith("-"):
        arguments[0] = f"--config={arguments[0]}"
    sys.argv[1:] = arguments
    from labor_jax import command_line  # which the help doesn't need

    command_line.called_by_name = True
    # As `python -m` would: the module's own last lines call its `main`.
    runpy.run_module(f"labor_jax.{COMMANDS[command][0]}", run_name="__main__", alter_sys=True)
    return 0


def _help() -> str:
    from labor_jax import recipes
    from labor_jax.data import registry

    pairs = {
        name: inspect.getdoc(entry.load).splitlines()[0] for name, entry in registry.PAIRS.items()
    }
    commands = {name: text for name, (_, text) in COMMANDS.items()}
    sections = {
        "Commands:": commands,
        "Configs, for run CONFIG[:PAIR], or active:METHOD[,PAIR], uda:METHOD[,PAIR]:": (
            recipes.summaries()
        ),
        "Data pairs:": pairs,
    }
    return "\n\n".join(
        (
            "Usage: labor-jax COMMAND [FLAGS]",
            *(
                command_help.listed(title, rows.items(), max(map(len, rows)) + 4)
                for title, rows in sections.items()
            ),
            command_help.listed(
                "More:",
                (
                    ("labor-jax COMMAND --help", "the flags of a command"),
                    ("labor-jax run CONFIG[:PAIR] --help", "the fields of a config"),
                ),
                38,
            ),
        )
    )


if __name__ == "__main__":
    sys.exit(main())
