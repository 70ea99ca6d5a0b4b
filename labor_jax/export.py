"""Exports a run's model: `labor-jax export --workdir runs/x --to onnx [--output DIR]`.

Writes the model as ONNX, as StableHLO or as safetensors, and beside it a model card (README.md),
model.json with its inputs and outputs, and classes.csv. The model takes uint8 RGB images of one
size and returns logits. It is run and compared with the package before the folder appears.
"""

from collections.abc import Sequence

from absl import app, flags

from labor_jax import command_line

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's workdir.")
_TO = flags.DEFINE_enum("to", None, ["onnx", "stablehlo", "safetensors"], "The format.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "The folder to write; made if absent. Default: export_FORMAT in the workdir."
)
_CHECKPOINT = command_line.define_checkpoint()
_SIZE = flags.DEFINE_string(
    "size",
    None,
    "HEIGHT,WIDTH of the images that the model takes. Default: those of the run's evaluation.",
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace an earlier export that nobody edited.")


def main(argv: Sequence[str]) -> None:
    """Exports a model and prints where it is and how exact."""
    if len(argv) > 1 or not (_WORKDIR.value and _TO.value):
        raise app.UsageError("Give --workdir and --to, and no other arguments than flags.")
    size = command_line.parse_size(_SIZE.value)
    from labor_jax import deployment

    model, differences = deployment.export(
        _WORKDIR.value,
        _TO.value,
        _OUTPUT.value,
        checkpoint=_CHECKPOINT.value,
        size=size,
        overwrite=_OVERWRITE.value,
    )
    for each in differences:
        print(
            f"Largest difference from labor_jax's logits on {each.images}: {each.largest:.2g} "
            f"(the largest logit is {each.largest_logit:.3g})"
        )
    print(model)


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
