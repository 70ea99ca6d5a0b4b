"""What programs read about an exported model: `model.json`."""

from datetime import UTC, datetime
from typing import Any

from labor_jax.deployment.formats import Format
from labor_jax.deployment.network import Network, exported_config
from labor_jax.deployment.run_facts import RunFacts
from labor_jax.experiment.summary import package_versions


def describe(
    facts: RunFacts, network: Network, format: Format, checks: list[Any]
) -> dict[str, Any]:
    """Returns what `model.json` holds, as JSON values.

    Args:
      facts: of the run.
      network: what was exported.
      format: to which.
      checks: how far the file's logits are from ours.
    """
    config = facts.config
    miou = facts.miou
    return {
        "format": format.title,
        "file": format.file,
        "input": {
            "name": "images",
            "dtype": "uint8",
            "shape": ["batch", *network.size, 3],
            "meaning": "RGB, 0 to 255, upright; resized to this height and width",
        },
        "output": {
            "name": "logits",
            "dtype": "float32",
            "shape": ["batch", *network.size, network.num_classes],
            "meaning": "unnormalised; a pixel's class is the argmax of the last axis, and the "
            "softmax over it are probabilities",
        },
        "classes": list(facts.pair.classes),
        "palette": facts.pair.palette.tolist(),
        "model": exported_config(config.model).to_dict(),
        "run": {
            "method": config.method,
            "pair": config.pair,
            "seed": config.seed,
            "checkpoint": facts.checkpoint,
            "phase": facts.restored.phase,
            "step": int(facts.restored.step),
            "is_final": facts.is_final,
        },
        "miou": None if miou is None else miou[1],
        "miou_measured_on": facts.restored.results.measured_on,
        "per_class_iou": dict(facts.per_class_iou),
        "answers": facts.answers._asdict(),
        "checks": [check._asdict() for check in checks],
        "exported": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": package_versions(),
    }
