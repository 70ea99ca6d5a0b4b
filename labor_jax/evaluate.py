"""The command line: `python -m labor_jax.evaluate --workdir runs/x [--checkpoint best|last]`.

Prints mIoU and per-class IoU of a run's model on the evaluation split, or of published weights:
`python -m labor_jax.evaluate --config configs/ripu_ra.py:gtav --config.model.pretrained=FILE`.
"""

import math
from collections.abc import Sequence
from typing import Any

from absl import app, flags
from ml_collections import config_flags

from labor_jax import command_line

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's workdir.")
_CHECKPOINT = flags.DEFINE_enum(
    "checkpoint", "last", ["best", "last"], "Which: of the best mIoU so far, or the last."
)
_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "Instead of a workdir: a config whose model.pretrained names the weights of a whole model.",
    lock_config=True,
)


def main(argv: Sequence[str]) -> None:
    """Evaluates and prints a table."""
    if len(argv) > 1 or bool(_WORKDIR.value) == (_CONFIG.value is not None):
        raise app.UsageError("Give either --workdir or --config, and no other arguments.")
    from labor_jax import components

    parts, model, origin = _published() if _CONFIG.value is not None else _trained()
    evaluation = components.make_evaluation(parts)(model)
    width = max(map(len, parts.pair.classes))
    for name, iou in evaluation.per_class_iou.items():
        shown = "neither labelled nor predicted" if math.isnan(iou) else f"{100 * iou:6.2f}%"
        print(f"{name:{width}}  {shown}")
    print(f"{'mIoU':{width}}  {100 * evaluation.miou:6.2f}%   ({origin})")
    for name, miou in evaluation.subset_miou.items():
        print(f"{'mIoU':{width}}  {100 * miou:6.2f}%   (the {name} classes)")


def _trained() -> tuple[Any, Any, str]:
    """A run's components and model, and where in the run it is from."""
    from labor_jax import restored

    parts, model, phase, step = restored.restore_model(
        _WORKDIR.value, _CHECKPOINT.value, ["evaluation"]
    )
    return parts, model, f"{phase}, global step {step}"


def _published() -> tuple[Any, Any, str]:
    """The same of the weights that a config names."""
    from labor_jax import components, validation

    config = _CONFIG.value
    command_line.settle(config)
    with validation.config_errors():
        validation.check_config(config)
        parts = components.build(config, roles=["evaluation"])
    initial = components.initial_variables(parts)
    model = components.load_pretrained(parts, initial)["model"]
    if model["classifier"] is initial["model"]["classifier"]:
        raise app.UsageError(
            f"config.model.pretrained is {config.model.pretrained!r}, which holds no classifier; "
            "name the weights of a whole model, or give the --workdir of a run."
        )
    return parts, model, config.model.pretrained


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
