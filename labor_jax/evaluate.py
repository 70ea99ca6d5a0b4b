"""Evaluates a model: `labor-jax evaluate --workdir runs/x [--checkpoint best|last]`.

Prints mIoU and per-class IoU of a run's model on the evaluation split. Published weights are
evaluated by a config instead: `--config ripu_ra:gtav --config.model.pretrained=FILE`.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

from absl import app, flags
from ml_collections import ConfigDict

from labor_jax import command_line

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's workdir.")
_CHECKPOINT = command_line.define_checkpoint()
command_line.define_config(
    "Instead of a workdir: a config whose model.pretrained names the weights of a whole model."
)


def main(argv: Sequence[str], config: ConfigDict | None) -> None:
    """Evaluates and prints a table."""
    if len(argv) > 1 or bool(_WORKDIR.value) == (config is not None):
        raise app.UsageError("Give either --workdir or --config, and no other arguments.")
    from labor_jax.experiment import components as components_lib

    components, variables, origin = _trained() if config is None else _published(config)
    with _measured_on(components) as (split, what):
        evaluation = components_lib.make_evaluation(components)(variables, split)
    width = max(map(len, components.pair.classes))
    for name, iou in evaluation.per_class_iou.items():
        shown = "no labels" if math.isnan(iou) else f"{100 * iou:6.2f}%"
        print(f"{name:{width}}  {shown}")
    print(f"{'mIoU':{width}}  {100 * evaluation.miou:6.2f}%   ({origin}{what})")
    for name, miou in evaluation.subset_miou.items():
        print(f"{'mIoU':{width}}  {100 * miou:6.2f}%   (the {name} classes)")


def _trained() -> tuple[Any, Any, str]:
    """Returns a run's components and variables, and their phase and step."""
    from labor_jax.experiment import restore
    from labor_jax.experiment.workdir import Workdir

    config = Workdir.existing(_WORKDIR.value).read_config()
    roles = ["evaluation", *(["pool"] if config.data.evaluation_from_answers else [])]
    restored = restore.restore_model(_WORKDIR.value, _CHECKPOINT.value, roles)
    return restored.components, restored.model, f"{restored.phase}, global step {restored.step}"


@contextlib.contextmanager
def _measured_on(components: Any) -> Iterator[tuple[Any, str]]:
    """The split with labels: of the pair, or of the answers that the run has held out."""
    from labor_jax.annotation import LabelStore
    from labor_jax.experiment import held_out
    from labor_jax.experiment.workdir import ConfigError, Workdir

    config, pair = components.config, components.pair
    if pair.evaluation is not None:
        yield pair.evaluation, ""
    elif _WORKDIR.value and config.data.evaluation_from_answers:
        numbers = held_out.held_out_numbers(config, pair.pool)
        path = Workdir(_WORKDIR.value).labels
        with LabelStore(path, classes=pair.classes, read_only=True) as store:
            split = held_out.AnsweredSplit(pair.pool, numbers, store, None)
            count = split.count()
            if not count["pixels"]:
                raise ConfigError(f"{path} has no answer yet in the images held out for measuring.")
            yield split, f", on {count['pixels']:,} answers in {count['images']} held-out images"
    else:
        raise ConfigError(
            f"The pair {pair.name} has no labels to measure on, so there is no mIoU. Give it "
            "evaluation images with labels, or set config.data.evaluation_from_answers for a run."
        )


def _published(config: ConfigDict) -> tuple[Any, Any, str]:
    """Returns components and variables of the weights that a config names, and the file."""
    import jax

    from labor_jax.data import load_pair
    from labor_jax.experiment import components as components_lib
    from labor_jax.experiment import config_checks, open_fields

    with config_checks.config_errors():
        config_checks.check_config(open_fields.filled(config))
        pair = load_pair(config.pair, config.data, ["evaluation"])
        components = components_lib.build(open_fields.filled(config, pair), pair)
    initial = components_lib.initial_variables(components)
    variables = components_lib.load_pretrained(components, initial)
    heads = [jax.tree.leaves(each["params"]["head"]) for each in (variables, initial)]
    if any(leaf is drawn for leaf, drawn in zip(*heads, strict=True)):
        raise app.UsageError(
            f"config.model.pretrained is {config.model.pretrained!r}, which holds no head. Name "
            "the weights of a whole model, or give the --workdir of a run."
        )
    return components, variables, config.model.pretrained


if __name__ == "__main__":
    raise SystemExit(command_line.run(main, with_config=True))
