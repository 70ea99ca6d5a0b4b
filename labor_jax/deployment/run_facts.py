"""What there is to say about a run's model: its data, its answers, how good it is."""

import contextlib
import dataclasses
import itertools
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from labor_jax import acquisition
from labor_jax.annotation import LabelStore
from labor_jax.annotation.label_store import EXISTING_ROUND
from labor_jax.data import ROLES, Pair, pair_description
from labor_jax.experiment import restore
from labor_jax.experiment.held_out import is_held_out
from labor_jax.experiment.plan import plan
from labor_jax.experiment.restore import RestoredModel
from labor_jax.experiment.workdir import Workdir


class Answers(NamedTuple):
    """The labels of the target that a model was trained on, and those that only measure.

    Attributes:
      rounds: how many rounds asked.
      images: images in which something was asked, without those held out.
      whole_images: whether these were asked as a whole.
      questions: points, regions or connected segments that were asked in them.
      pixels: answered pixels of them, void ones included.
      void: how many of them are void.
      held_out_images: images that were asked and held out: their answers never train.
      held_out_pixels: answered pixels of those, void ones included.
      existing_images: images that had labels before the first round, without those held out.
      existing_pixels: pixels of them that had a class.
      seconds: time that people were measured to work, on second opinions, too; 0 without people.
      by_people: whether people answered, and not the pool's own labels.
    """

    rounds: int
    images: int
    whole_images: bool
    questions: int
    pixels: int
    void: int
    held_out_images: int
    held_out_pixels: int
    existing_images: int
    existing_pixels: int
    seconds: float
    by_people: bool


@dataclasses.dataclass(frozen=True)
class RunFacts:
    """What a model card tells of a run.

    Attributes:
      folder: the run's.
      pair: its data pair; a split whose files can't be read here is None.
      restored: the model, and what the run had found at its checkpoint.
      checkpoint: "last" or "best".
      answers: those that the model was trained on, and those that measure.
    """

    folder: Workdir
    pair: Pair
    restored: RestoredModel
    checkpoint: str
    answers: Answers

    @property
    def config(self) -> ConfigDict:
        """The run's config."""
        return self.restored.components.config

    @property
    def last_phase(self) -> str:
        """The name of the run's last phase."""
        return plan(self.config)[-1].name

    @property
    def is_final(self) -> bool:
        """Whether the model is the one with which the run ended."""
        return self.restored.step == plan(self.config)[-1].last_step

    @property
    def miou(self) -> tuple[str, float] | None:
        """The phase after which mIoU was last measured, and the mIoU, 0 to 1; None: never."""
        for phase, miou in reversed(self.restored.results.miou.items()):
            if miou is not None:
                return phase, miou
        return None

    @property
    def per_class_iou(self) -> Mapping[str, float | None]:
        """IoU of each class at that time."""
        return self.restored.results.per_class_iou or {}


def read(workdir: str | os.PathLike, checkpoint: str) -> RunFacts:
    """Reads a run's model and what is known of it. Its data set need not be there.

    Raises:
      ConfigError, CheckpointError, DataError, LabelStoreError: see `labor_jax.load`.
    """
    folder = Workdir.existing(workdir)
    pair = pair_description.read(folder.pair)
    restored = restore.restore_model(folder.path, checkpoint, roles=(), pair=pair)
    splits = {role: _split(folder, role) for role in ROLES}
    return RunFacts(
        folder,
        dataclasses.replace(pair, **splits),
        restored,
        checkpoint,
        _answers(folder, pair, restored),
    )


def _split(folder: Workdir, role: str) -> Any:
    # Whatever is wrong with the data is no reason not to export the model.
    with contextlib.suppress(ValueError, OSError):
        return getattr(folder.load_pair([role]), role)
    return None


def _answers(folder: Workdir, pair: Pair, restored: RestoredModel) -> Answers:
    config = restored.components.config
    method = acquisition.METHODS.get(config.acquisition.method)
    (phase,) = (phase for phase in plan(config) if phase.name == restored.phase)
    last = phase.round if phase.kind == "train_model" else phase.round - 1
    rounds, existing, seconds = [], [], 0.0
    if last >= 1 and folder.labels.exists():
        with LabelStore(folder.labels, classes=pair.classes, read_only=True) as store:
            numbers = [number for number in store.rounds() if number <= last]
            rounds = [store.asked_images(number) for number in numbers]
            existing = store.asked_images(EXISTING_ROUND) if store.existing_images() else []
            seconds = sum(
                sum(store.measured_seconds(number, opinion=opinion).values())
                for number in numbers
                for opinion in (1, 2)
            )
    asked = list(itertools.chain(*rounds))
    held_out = [each for each in asked if is_held_out(config, each.image)]
    training = [each for each in asked if not is_held_out(config, each.image)]
    existing = [each for each in existing if not is_held_out(config, each.image)]
    return Answers(
        rounds=len(rounds),
        images=len({each.image for each in training}),
        whole_images=method is not None and method.asks in ("images", "full"),
        questions=sum(each.clicks for each in training),
        pixels=sum(each.pixels for each in training),
        void=sum(each.void_pixels for each in training),
        held_out_images=len({each.image for each in held_out}),
        held_out_pixels=sum(each.pixels for each in held_out),
        existing_images=len(existing),
        existing_pixels=sum(each.pixels - each.void_pixels for each in existing),
        seconds=seconds,
        by_people=config.annotator == "human",
    )
