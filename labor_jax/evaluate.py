"""The command line: `python -m labor_jax.evaluate --workdir runs/x [--checkpoint best|last]`.

Prints mIoU and per-class IoU of a run's model on the evaluation split.
"""

import math
from collections.abc import Sequence

from absl import app, flags

from labor_jax import command_line

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's workdir.")
_CHECKPOINT = flags.DEFINE_enum(
    "checkpoint", "last", ["best", "last"], "Which: of the best mIoU so far, or the last."
)


def main(argv: Sequence[str]) -> None:
    """Evaluates and prints a table."""
    if len(argv) > 1 or not _WORKDIR.value:
        raise app.UsageError("Give --workdir, and no other arguments than flags.")
    from labor_jax import restored
    from labor_jax.evaluation import evaluator

    parts, model, phase, step = restored.restore_model(_WORKDIR.value, _CHECKPOINT.value)
    evaluate = evaluator.make_evaluator(
        parts.frozen_segmenter,
        parts.pair.classes,
        parts.mesh,
        flip=parts.config.evaluation_flip,
    )
    evaluation = evaluate(
        model,
        parts.pair.evaluation,
        batch_size=parts.config.evaluation_batch_size,
        size=parts.config.data.evaluation_size,
    )
    width = max(map(len, parts.pair.classes))
    for name, iou in evaluation.per_class_iou.items():
        shown = "neither labelled nor predicted" if math.isnan(iou) else f"{100 * iou:6.2f}%"
        print(f"{name:{width}}  {shown}")
    print(f"{'mIoU':{width}}  {100 * evaluation.miou:6.2f}%   ({phase}, global step {step})")


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
