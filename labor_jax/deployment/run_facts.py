"""What there is to say about a run's model: its data, its answers, how good it is."""

import contextlib
import dataclasses
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from labor_jax.annotation import LabelStore
from labor_jax.data import ROLES, Pair, pair_description
from labor_jax.experiment import restore
from labor_jax.experiment.plan import plan
from labor_jax.experiment.restore import RestoredModel
from labor_jax.experiment.workdir import Workdir


class Answers(NamedTuple):
    """The labels of the target that a model was trained on.

    Attributes:
      rounds: how many rounds asked.
      images: images that were asked about.
      questions: points, regions or connected segments that were asked.
      pixels: answered pixels, void ones included.
      void: how many of them are void.
      seconds: time that people were measured to work; 0 without people.
      by_people: whether people answered, and not the pool's own labels.
    """

    rounds: int
    images: int
    questions: int
    pixels: int
    void: int
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
      answers: those that the model was trained on.
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
    by_people = config.annotator == "human"
    (phase,) = (phase for phase in plan(config) if phase.name == restored.phase)
    last = phase.round if phase.kind == "train_model" else phase.round - 1
    if last < 1 or not folder.labels.exists():
        return Answers(0, 0, 0, 0, 0, 0.0, by_people)
    with LabelStore(folder.labels, classes=pair.classes, read_only=True) as store:
        rounds = [number for number in store.rounds() if number <= last]
        statistics = [store.statistics(number) for number in rounds]
        return Answers(
            rounds=sum(number > 0 for number in rounds),
            images=statistics[-1].total_images if rounds else 0,
            questions=sum(clicks for number in rounds for clicks, _ in store.query_sizes(number)),
            pixels=sum(each.asked_pixels for each in statistics),
            void=sum(each.void_pixels for each in statistics),
            seconds=sum(sum(store.measured_seconds(number).values()) for number in rounds),
            by_people=by_people,
        )
