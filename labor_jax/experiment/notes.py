"""Sentences below a run's table: what mIoU is measured on, and which labels cost nothing."""

from collections.abc import Mapping
from typing import Any


def notes(summary: Mapping[str, Any]) -> list[str]:
    """The sentences that a run's numbers need.

    Args:
      summary: What `summary.json` holds.
    """
    existing = summary.get("existing_labels")
    lines = []
    if existing:
        lines.append(
            f"Labelled before the run: {existing['pixels']:,} pixels in "
            f"{_images(existing['images'])}. They are free, and no share or cost above counts them."
        )
    measured_on = summary.get("measured_on")
    if measured_on == "nothing":
        lines.append(
            "mIoU is \N{EN DASH}: the pair has no labels to measure on. To measure on a share of "
            "the answers, set config.data.evaluation_from_answers."
        )
    if measured_on == "answers":
        rounds = [
            f"round {entry['round']} on {entry['measured_pixels']:,} answers in "
            f"{_images(entry['measured_images'])}"
            for entry in summary["rounds"]
            if entry.get("measured_pixels")
        ]
        lines.append(
            f"mIoU is an estimate: {', '.join(rounds) or 'no answer to measure on yet'}. A share "
            "of the pool is held out for it (config.data.evaluation_from_answers), whose answers "
            "never train. Asked pixels are mostly the hard ones, so it tends to be low. As their "
            "number grows, two rounds compare only roughly."
        )
    return lines


def _images(count: int) -> str:
    return f"{count} image{'s' if count != 1 else ''}"
