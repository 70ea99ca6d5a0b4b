"""The command `labor-jax COMMAND …`, also `python -m labor_jax COMMAND …`."""

import difflib
import inspect
import runpy
import sys

COMMANDS = {
    "run": ("main", "Runs or resumes an experiment: labor-jax run spl:camvid --config.seed=1"),
    "evaluate": ("evaluate", "Prints the mIoU of a run's model, or of published weights."),
    "predict": ("predict", "Writes label maps and overlays for a folder of images."),
    "export": ("export", "Exports a run's model to ONNX, StableHLO or safetensors."),
    "annotate": ("annotate", "Opens the labelling tool for a run that waits for answers."),
    "strip": ("strip", "Draws an image of a run: the query, the answers, the predictions."),
    "exchange": ("exchange", "Exports queries to another labelling tool and imports its answers."),
    "build_dataset": ("build_dataset", "Builds a TFDS data set from official folders."),
}
"""The module of each command, and what it does."""


def main() -> int:
    """Runs the command that the first argument names."""
    command, *arguments = sys.argv[1:] or ["--help"]
    if command in ("--help", "-h", "help"):
        print(_help())
        return 0
    if command not in COMMANDS:
        close = difflib.get_close_matches(command, COMMANDS, 1)
        meant = f" Did you mean {close[0]}?" if close else ""
        print(
            f"Unknown command {command!r}.{meant} The commands are {', '.join(COMMANDS)}.",
            file=sys.stderr,
        )
        return 1
    if command == "run" and arguments and not arguments[0].startswith("-"):
        arguments[0] = f"--config={arguments[0]}"
    sys.argv[1:] = arguments
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
    return "\n\n".join(
        (
            "Usage: labor-jax COMMAND [FLAGS]; labor-jax COMMAND --help lists a command's flags.",
            _listed("Commands", commands),
            _listed("Configs: run CONFIG[:PAIR], run active:METHOD[,PAIR]", recipes.summaries()),
            _listed("Data pairs", pairs),
        )
    )


def _listed(title: str, lines: dict[str, str]) -> str:
    width = max(map(len, lines))
    return "\n".join((f"{title}:", *(f"  {name:{width}}  {text}" for name, text in lines.items())))


if __name__ == "__main__":
    sys.exit(main())
