"""A run's results: what the phases add to them, a round's entry, and `summary.json`."""

import dataclasses
import importlib.metadata
import math
import time
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

import labor_jax
from labor_jax.annotation import LabelStore, cost
from labor_jax.annotation.label_store import work
from labor_jax.annotation.label_store.existing import ExistingLabels
from labor_jax.annotation.labelling_tool.item_reader import ItemReader
from labor_jax.annotation.labelling_tool.progress import Progress, ProgressReader, agreement_names

_PACKAGES = ("jax", "flax", "optax", "orbax-checkpoint", "numpy")


@dataclasses.dataclass
class Results:
    """What a run found so far; checkpoints hold it as JSON.

    Attributes:
      miou: after each phase that trained the model, by the phase's name; None without an
        evaluation split.
      per_class_iou: of the last evaluation, by class; NaN for one that no label has.
      subset_miou: of the last evaluation, by the name of the subset of classes.
      miou_error: of the last evaluation, the standard error of mIoU over the choice of the images;
        None if few have labels.
      confusion: of the last evaluation, pixels by label (rows) and prediction (columns); None
        before the first.
      measured_on: what mIoU is measured on: "labels", "answers" or "nothing".
      measured: the answers that each phase's mIoU was measured on, as "images" and "pixels", by
        the phase's name; empty with an evaluation split.
      rounds: an entry a round, see `round_entry`.
      seconds: wall time of each phase, by name.
      device: what the run computes on now; of one that is over, what it computed on last.
      versions: of the packages that it computes with, likewise.
    """

    miou: dict[str, float | None] = dataclasses.field(default_factory=dict)
    per_class_iou: dict[str, float] = dataclasses.field(default_factory=dict)
    subset_miou: dict[str, float] = dataclasses.field(default_factory=dict)
    miou_error: float | None = None
    confusion: list[list[int]] | None = None
    measured_on: str = "labels"
    measured: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    rounds: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)
    device: str = ""
    versions: dict[str, str] = dataclasses.field(default_factory=dict)

    def without_measurements(self) -> "Results":
        """The results with no mIoU for any phase, nor what was found with it."""
        return Results(miou=dict.fromkeys(self.miou), rounds=self.rounds, seconds=self.seconds)

    def to_json(self) -> dict[str, Any]:
        """The results as a JSON object."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, described: dict[str, Any]) -> "Results":
        """Reads what `to_json` returned."""
        return cls(**described)


def round_entry(
    config: ConfigDict,
    classes: Sequence[str],
    store: LabelStore,
    results: Results,
    number: int,
) -> dict[str, Any]:
    """A round's entry in the summary; pixels, clicks and annotation time are those so far.

    Annotation time is of the answers. That of second opinions is "second_opinion_seconds".

    Args:
      config: the run's.
      classes: names, in label order.
      store: the label store.
      results: with the mIoU of the round's training.
      number: the round's.
    """
    asked = store.statistics(number)
    costs = results.rounds[-1] if results.rounds else {}
    people, counted = {}, [number]
    if config.annotator == "human":
        costs, counted = {}, range(1, number + 1)  # people may correct earlier rounds' answers
        reader = ItemReader(store, second_opinion=config.annotation.second_opinion)
        people = people_entry(ProgressReader(reader, time.time).of_round(number), classes)
        # Summed anew: they may still be given after the next round has started.
        people["second_opinion_seconds"] = math.fsum(
            sum(store.measured_seconds(each, opinion=2).values())
            for each in store.rounds()
            if each <= number
        )
    for each in counted:
        costs = _cost_of_round(config, store, each, costs)
    miou = list(results.miou.values())[-1]
    answers = results.measured.get(list(results.miou)[-1], {})
    measured_on = {f"measured_{name}": count for name, count in answers.items()}
    return {
        "round": number,
        "miou": miou,
        "per_class_iou": {} if miou is None else dict(results.per_class_iou),
        **measured_on,
        "labelled_pixels": asked.labelled_pixels,
        "labelled_fraction": asked.labelled_fraction,
        "pixels_per_image": asked.pixels_per_image,
        **costs,
        **people,
        "wall_seconds": sum(
            seconds
            for name, seconds in results.seconds.items()
            if name.startswith(f"round_{number}/")
        ),
    }


def _cost_of_round(
    config: ConfigDict, store: LabelStore, number: int, before: dict[str, Any]
) -> dict[str, Any]:
    done, seconds = work.of_round(store, number), store.measured_seconds(number)
    timed = [seconds[image] for image in sorted(store.timed_images(number))]
    measured = cost.measured_cost(timed, items=done.images)
    return cost.cost_so_far(
        done, measured, before, dollars_per_hour=config.annotation.dollars_per_hour
    )


def people_entry(progress: Progress, classes: Sequence[str]) -> dict[str, Any]:
    """Who answered a round, and how far second opinions agree: entries in `summary.json`.

    Args:
      progress: the round's, see `ProgressReader`.
      classes: names of the classes.

    Returns:
      "annotators": name, items and seconds_per_item of each; "agreement": items, pixels and the
      share of them with equal answers, also by the first opinion's class; None without second ones.
    """
    pixels, equal = progress.agreement.pixels, progress.agreement.equal
    agreement = None
    if progress.agreement.items:
        agreement = {
            "items": progress.agreement.items,
            "pixels": int(pixels.sum()),
            "share": float(equal.sum() / max(pixels.sum(), 1)),
            "classes": [
                {
                    "name": name,
                    "pixels": int(pixels[label]),
                    "share": float(equal[label] / pixels[label]),
                }
                for label, name in agreement_names(classes).items()
                if pixels[label]
            ],
        }
    annotators = [
        {"name": each.name, "items": each.items, "seconds_per_item": each.seconds_per_item}
        for each in progress.annotators
    ]
    return {"annotators": annotators, "agreement": agreement}


def summarise(config: ConfigDict, results: Results, existing: ExistingLabels) -> dict[str, Any]:
    """What `summary.json` holds; of a run that goes on, what it would hold.

    Args:
      config: the run's.
      results: the run's.
      existing: the labels that existed before the run.
    """
    miou = results.miou
    stages = {
        "source_only_miou": "supervised",
        "warmup_miou": "warmup",
        "retraining_miou": f"retraining_{config.retraining.stages}",
        "before_rounds_miou": "joint",  # joint training, before its first query
    }
    return {
        "method": config.method,
        "pair": config.pair,
        "seed": config.seed,
        "final_miou": next(reversed(miou.values()), None),
        **{key: miou.get(phase) for key, phase in stages.items()},
        "unmeasured": [key for key, phase in stages.items() if miou.get(phase, 0.0) is None],
        "measured_on": results.measured_on,
        "existing_labels": existing._asdict() if existing.images else None,
        "rounds": results.rounds,
        "per_class_iou": results.per_class_iou,
        "subset_miou": results.subset_miou,
        "miou_error": results.miou_error,
        "confusion": results.confusion,
        "device": results.device,
        "wall_seconds": sum(results.seconds.values()),
        "versions": results.versions or package_versions(),  # older checkpoints have none
    }


def package_versions() -> dict[str, str]:
    """The versions of this package and of those that a run's numbers depend on."""
    return {
        "labor_jax": labor_jax.__version__,
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
    }
