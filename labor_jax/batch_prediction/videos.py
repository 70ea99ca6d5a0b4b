"""Predicts a video's frames, and draws the overlay as a video."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from labor_jax.batch_prediction import outputs
from labor_jax.batch_prediction.inputs import Input
from labor_jax.batch_prediction.outputs import OutputWriter, Prediction, Wanted
from labor_jax.data import DataError
from labor_jax.data.files import video
from labor_jax.data.files.video import Every, VideoFrame
from labor_jax.output_files import OutputFolder
from labor_jax.prediction import TrainedModel
from labor_jax.training import loop


class PredictedFrame(NamedTuple):
    """A frame that is predicted.

    Attributes:
      file: the image's name in `labor-jax frames`, `drive_000012.500.jpg`.
      name: what its outputs are called, see `frame_name`.
    """

    file: str
    name: str


class PredictedVideo(NamedTuple):
    """What was made of a video.

    Attributes:
      frames: its frames, in order.
      predicted: how many of them were predicted now; the others were before.
      problem: what is wrong with the video if it ends early, or "".
    """

    frames: list[PredictedFrame]
    predicted: int
    problem: str


def frame_name(item: Input, frame: VideoFrame) -> str:
    """What a frame's outputs are called: `drive/drive_000012.500`."""
    return f"{item.name}/{frame.name(item.path.stem)}"


def overlay_name(item: Input) -> str:
    """The file of a video's overlay, below the output folder."""
    return f"{item.name}_overlay.mp4"


def check_outputs(
    item: Input, source: str, every: str, folder: OutputFolder, wanted: Wanted
) -> None:
    """Raises an `OutputError` if something is in the way of a video's outputs."""
    of_frames = wanted._replace(overlays=False)
    expected = {}
    for file in folder.existing(item.name):
        base = file.rpartition("/")[2]
        if video.is_frame_name(base, item.path.stem):
            frame = file.rpartition(".")[0].removesuffix("_probabilities")
            keys = of_frames.files(frame, source)
            if file in keys:
                expected[file] = keys[file]
    if wanted.overlays:
        expected[overlay_name(item)] = _overlay_key(source, every, wanted)
    folder.remaining(expected)


def predict_video(
    model: TrainedModel,
    item: Input,
    source: str,
    every: str,
    folder: OutputFolder,
    wanted: Wanted,
) -> PredictedVideo:
    """Predicts a video's frames; few of them are in memory at any time.

    Args:
      model: the model.
      item: the video.
      source: see `outputs.source`.
      every: which frames, see `video.parse_every`.
      folder: where to.
      wanted: which files frames have; the overlay of all of them is a video.
    """
    info, taken = video.read_info(item.path), video.parse_every(every)
    of_frames = wanted._replace(overlays=False)
    key = _overlay_key(source, every, wanted)
    draws = wanted.overlays and bool(folder.remaining({overlay_name(item): key}))
    result = PredictedVideo([], 0, "")
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(
            loop.progress_bar(total=info.taken(taken), desc=item.path.name, unit="frame")
        )
        writer = stack.enter_context(OutputWriter(folder, model, of_frames))
        drawn = None
        if draws:
            temporary = stack.enter_context(folder.writing(overlay_name(item), key))
            drawn = stack.enter_context(video.VideoWriter(temporary, info.taken_rate(taken)))
        for frames, problem in _chunks(item, taken, model.components.evaluation_batch_size):
            result = result._replace(problem=problem)
            for frame, image, prediction, files in _predicted(
                model, item, frames, source, folder, of_frames, bool(drawn)
            ):
                name = frame_name(item, frame)
                if files:
                    writer.write(name, source, lambda image=image: image, prediction, files)
                if drawn:
                    drawn.add(
                        np.asarray(
                            outputs.overlay(image, prediction.labels, model.palette, wanted.opacity)
                        )
                    )
                result.frames.append(PredictedFrame(frame.name(item.path.stem) + ".jpg", name))
                result = result._replace(predicted=result.predicted + bool(files))
                bar.update()
    return result


def _overlay_key(source: str, every: str, wanted: Wanted) -> str:
    return f"{source}, every {every}, opacity {wanted.opacity:g}"


def _chunks(item: Input, every: Every, batch_size: int) -> Iterator[tuple[list[VideoFrame], str]]:
    """Frames in groups, and what ended a damaged video. Without any frame, the damage is raised."""
    frames, started = video.read_frames(item.path, every), False
    while True:
        chunk, problem = [], ""
        try:
            for frame in itertools.islice(frames, batch_size):
                chunk.append(frame)
        except DataError as error:
            if not started and not chunk:
                raise
            problem = f"{str(error).removesuffix('.')}; the frames before that are predicted"
        started = True
        if chunk or problem:
            yield chunk, problem
        if problem or len(chunk) < batch_size:
            return


def _predicted(
    model: TrainedModel,
    item: Input,
    frames: Sequence[VideoFrame],
    source: str,
    folder: OutputFolder,
    wanted: Wanted,
    is_drawn: bool,
) -> Iterator[tuple[VideoFrame, np.ndarray, Prediction, list[str]]]:
    """Each frame, its image, its prediction, and which of its files are to be written."""
    images, left = [frame.image() for frame in frames], []
    for frame in frames:
        left.append(folder.remaining(wanted.files(frame_name(item, frame), source)))
    known: dict[int, Prediction] = {}
    for number, frame in enumerate(frames):
        written = folder.path / f"{frame_name(item, frame)}.png"
        if not left[number] and is_drawn and wanted.label_maps:
            with Image.open(written) as label_map:
                known[number] = Prediction(np.asarray(label_map), None)
    numbers = [n for n in range(len(frames)) if n not in known and (left[n] or is_drawn)]
    split = model.split([images[number] for number in numbers])
    for place, predicted in model.predict_split(split, probabilities=bool(wanted.probabilities)):
        known[numbers[place]] = Prediction.of(predicted)
    for number, frame in enumerate(frames):
        yield frame, images[number], known.get(number), left[number]
