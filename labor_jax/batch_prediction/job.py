"""One command's predictions: checks all places first, then predicts, and says what came of it."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import logging
import time
from pathlib import Path

from labor_jax.batch_prediction import outputs, pre_annotations, videos
from labor_jax.batch_prediction.image_files import ImageFiles
from labor_jax.batch_prediction.images import predict_images
from labor_jax.batch_prediction.inputs import Inputs
from labor_jax.batch_prediction.pre_annotations import LabelledImage
from labor_jax.data import DataError, class_table, messages
from labor_jax.data.files import video
from labor_jax.output_files import OutputFolder
from labor_jax.prediction import TrainedModel

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Job:
    """What to predict, with what, and where to write it.

    Attributes:
      model: the model.
      inputs: the images and videos.
      folder: where to write.
      wanted: which files to write.
      every: which frames of videos, see `video.parse_every`.
      annotations: "coco" or "cvat" to write pre-annotations too, or None.
    """

    model: TrainedModel
    inputs: Inputs
    folder: OutputFolder
    wanted: outputs.Wanted
    every: str = "1"
    annotations: str | None = None

    def run(self) -> None:
        """Predicts all, and writes as it goes.

        Raises:
          OutputError: a file is in the way; nothing was written.
          DataError: inputs can't be read. The message names them; the others are predicted.
        """
        started = time.monotonic()
        if self.inputs.videos:
            video.require()
        split = ImageFiles([image.path for image in self.inputs.images])
        key = outputs.model_key(self.model)
        image_sources = [outputs.source(key, image.path) for image in self.inputs.images]
        video_sources = [outputs.source(key, each.path) for each in self.inputs.videos]
        sharing = self._sharing_frame_names() if self.annotations else []
        annotations_key = self._annotations_key([*image_sources, *video_sources], sharing)
        classes = self._classes()
        remaining = self._remaining(split, image_sources, video_sources, annotations_key, classes)
        if split.readable() or self.inputs.videos:
            for name in self.folder.remaining(classes):
                with self.folder.writing(name, classes[name]) as path:
                    path.write_text(classes[name], "utf-8")
        predicted = predict_images(
            self.model,
            self.inputs.images,
            split,
            image_sources,
            remaining,
            self.folder,
            self.wanted,
        )
        problems = [split.problems[number] for number in sorted(split.problems)]
        images = [self.inputs.images[number] for number in split.readable()]
        labelled = [LabelledImage(each.file, self._label_map(each.name)) for each in images]
        for item, source in zip(self.inputs.videos, video_sources, strict=True):
            try:
                result = videos.predict_video(
                    self.model, item, source, self.every, self.folder, self.wanted
                )
            except DataError as error:
                problems.append(str(error))
                continue
            predicted += result.predicted
            problems += [result.problem] if result.problem else []
            labelled += [
                LabelledImage(
                    f"{each.name}.jpg" if item.name in sharing else each.file,
                    self._label_map(each.name),
                )
                for each in result.frames
            ]
        self._annotate(labelled, annotations_key)
        self._report(predicted, len(labelled), time.monotonic() - started, problems)

    def _label_map(self, name: str) -> Path:
        return self.folder.path / f"{name}.png"

    def _remaining(self, split, image_sources, video_sources, annotations_key, classes):
        """The files to write for each image, by its number; nothing is in the way of any file."""
        files = {
            number: self.wanted.files(self.inputs.images[number].name, image_sources[number])
            for number in split.readable()
        }
        expected = {name: key for keys in files.values() for name, key in keys.items()}
        expected.update(classes)
        if self.annotations:
            names = pre_annotations.FILES[self.annotations]
            expected.update(dict.fromkeys(names, annotations_key))
            pre_annotations.check_names(
                self.annotations,
                (
                    *self.model.classes,
                    *(each.file for each in (*self.inputs.images, *self.inputs.videos)),
                ),
            )
        left = set(self.folder.remaining(expected))
        for item, source in zip(self.inputs.videos, video_sources, strict=True):
            videos.check_outputs(item, source, self.every, self.folder, self.wanted)
        remaining = {
            number: [name for name in keys if name in left] for number, keys in files.items()
        }
        return {number: names for number, names in remaining.items() if names}

    def _classes(self) -> dict[str, str]:
        """The table of what label maps hold: its name and its content, which is its key too.

        Empty where a user's own table is in its place, which stays, and without label maps.
        """
        if not self.wanted.label_maps:
            return {}
        name, table = "classes.csv", class_table.as_csv(self.model.classes, self.model.palette)
        path = self.folder.path / name
        if not path.is_file() or self.folder.wrote(name):
            return {name: table}
        if path.read_bytes() != table.encode():
            logger.warning(
                "%s was there before and stays. It may have other numbers than the label maps, "
                "whose classes are, from 0: %s.",
                path,
                ", ".join(self.model.classes),
            )
        return {}

    def _sharing_frame_names(self) -> list[str]:
        """The names of videos whose frames are called as another video's frames, or as images."""
        stems = [each.path.stem.casefold() for each in self.inputs.videos]
        count = collections.Counter(stems)
        files = [image.file.casefold() for image in self.inputs.images]
        return [
            each.name
            for each, stem in zip(self.inputs.videos, stems, strict=True)
            if count[stem] > 1 or any(video.is_frame_name(file, stem) for file in files)
        ]

    def _annotations_key(self, sources: list[str], sharing: list[str]) -> str:
        described = "\n".join([*sources, self.every, str(self.annotations), *sharing])
        return hashlib.sha256(described.encode("utf-8", "surrogateescape")).hexdigest()

    def _annotate(self, labelled: list[LabelledImage], key: str) -> None:
        if not (self.annotations and labelled):
            return
        names = pre_annotations.FILES[self.annotations]
        for name in self.folder.remaining(dict.fromkeys(names, key)):
            with self.folder.writing(name, key) as path:
                pre_annotations.write(name, path, labelled, self.model.classes, self.model.palette)

    def _report(self, predicted: int, whole: int, seconds: float, problems: list[str]) -> None:
        before = f"; {whole - predicted} were predicted before" if whole > predicted else ""
        print(
            f"Predicted {predicted} images in {seconds:.1f} s ({predicted / seconds:.1f} images/s)"
            f"{before}. They are in {self.folder.path}"
        )
        if problems:
            inputs = len(self.inputs.images) + len(self.inputs.videos)
            listed = messages.listing(problem.removesuffix(".") for problem in problems)
            raise DataError(
                f"{len(problems)} of {inputs} inputs can't be read, or not as a whole: {listed}. "
                "All others are predicted."
            )
