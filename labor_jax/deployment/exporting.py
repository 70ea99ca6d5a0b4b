"""Exports a run's model to a folder: the model, its signature, its classes and a model card."""

import json
import logging
import os
from pathlib import Path
from typing import NamedTuple

from labor_jax.data import class_table
from labor_jax.deployment import check, model_card, output_folder, run_facts, signature
from labor_jax.deployment.check import Difference
from labor_jax.deployment.errors import ExportError
from labor_jax.deployment.formats import FORMATS
from labor_jax.deployment.network import Network
from labor_jax.deployment.run_facts import RunFacts
from labor_jax.models.weights import native

logger = logging.getLogger(__name__)


class Exported(NamedTuple):
    """What `export` wrote.

    Attributes:
      model: the model's file.
      differences: how far its logits are from the package's, on a few images.
    """

    model: Path
    differences: list[Difference]


def export(
    workdir: str | os.PathLike,
    to: str,
    output: str | os.PathLike | None = None,
    *,
    checkpoint: str = "last",
    size: tuple[int, int] | None = None,
    overwrite: bool = False,
) -> Exported:
    """Exports the model of a run, finished or not. Its data set need not be there.

    The folder gets the model, `README.md` (a model card), `model.json` (its inputs and outputs,
    classes, where it comes from) and `classes.csv`. It appears once all are written and the model's
    logits were compared with the package's.

    Args:
      workdir: the run's.
      to: "onnx", "stablehlo" or "safetensors".
      output: the folder; None for `export_TO` in the workdir.
      checkpoint: "last", or "best" by mIoU on the evaluation split, see `labor_jax.load`.
      size: (height, width) of the images that the model takes; None for
        `config.data.evaluation_size`, or else the size of the data's first image.
      overwrite: whether an earlier export to the same format may be replaced, if nobody edited it.

    Returns:
      `Exported`.

    Raises:
      ExportError: an unknown format, a missing package, an output that is taken, no size, or a
        network that can't be converted.
      ConfigError, CheckpointError, DataError: see `labor_jax.load`.
    """
    if to not in FORMATS:
        raise ExportError(f"The format is {to!r}; choose one of: {', '.join(FORMATS)}.")
    format = FORMATS[to]
    facts_folder = Path(workdir).expanduser()
    folder = Path(output).expanduser() if output else facts_folder / f"export_{to}"
    format.check_packages()
    output_folder.check(folder, format.file, overwrite=overwrite)
    facts = run_facts.read(facts_folder, checkpoint)
    _tell(facts)
    network = Network.build(
        facts.config.model,
        len(facts.pair.classes),
        facts.restored.model,
        size or _default_size(facts),
    )
    with output_folder.writing(folder, format.file, overwrite=overwrite) as temporary:
        path = temporary / format.file
        format.write(network, path, _metadata(facts))
        differences = check.compare(format, path, network, facts.pair)
        described = signature.describe(facts, network, format, differences)
        (temporary / "model.json").write_text(json.dumps(described, indent=2) + "\n")
        table = class_table.as_csv(facts.pair.classes, facts.pair.palette)
        (temporary / "classes.csv").write_text(table, "utf-8")
        card = model_card.write(facts, described, format, differences)
        (temporary / "README.md").write_text(card)
    return Exported(folder / format.file, differences)


def _tell(facts: RunFacts) -> None:
    logger.info("Model of phase %s, global step %d", facts.restored.phase, facts.restored.step)
    if not facts.is_final:
        logger.warning(
            "This is not the run's last model: the last phase is %s. The model card says so.",
            facts.last_phase,
        )
    for limit in model_card.inference_limits(facts):
        logger.warning("%s", limit)


def _default_size(facts: RunFacts) -> tuple[int, int]:
    data = facts.config.data
    if data.evaluation_size:
        return tuple(data.evaluation_size)
    for split in (facts.pair.evaluation, facts.pair.pool):
        if split is not None and len(split):
            return tuple(split.size(0))
    if data.target_size:
        return tuple(data.target_size)
    raise ExportError(
        "The run has no evaluation_size, and no image of its data can be read, so the size of the "
        "model's images is unknown: give --size=HEIGHT,WIDTH."
    )


def _metadata(facts: RunFacts) -> dict[str, str]:
    """What the model's file itself holds about it."""
    return {
        native.CLASSES: json.dumps(facts.pair.classes),
        "palette": json.dumps(facts.pair.palette.tolist()),
        "method": facts.config.method,
        "pair": facts.config.pair,
        "phase": facts.restored.phase,
        "step": str(facts.restored.step),
    }
