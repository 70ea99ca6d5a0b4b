"""Reads and writes videos with PyAV, which the extra `video` installs."""

from __future__ import annotations

import contextlib
import fractions
import itertools
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from labor_jax.data.base import DataError

VIDEO_EXTENSIONS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm")
"""Extensions of the files that count as videos, in lower case."""

_USUAL_RATE = fractions.Fraction(25)  # frames a second, where the file doesn't say
_EVERY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(s|ms)?")


class VideoFrame(NamedTuple):
    """A frame of a video, not yet converted to colours.

    Attributes:
      index: its number, from 0.
      seconds: its time after the first frame, in whole milliseconds; no two frames have the same.
      decoded: PyAV's frame.
    """

    index: int
    seconds: float
    decoded: Any

    def image(self) -> np.ndarray:
        """The frame as uint8[H, W, 3], RGB, turned as the file says that it is shown."""
        return np.ascontiguousarray(self._turned(self.decoded.to_ndarray(format="rgb24")))

    def thumbnail(self, side: int) -> np.ndarray:
        """The frame's brightness, averaged to float32[side, side]."""
        grey = Image.fromarray(self.decoded.to_ndarray(format="gray"))
        return np.asarray(grey.resize((side, side), Image.Resampling.BOX), np.float32)

    def name(self, stem: str) -> str:
        """The name of its file, without extension: `drive_000012.500` after 12.5 seconds."""
        return f"{stem}_{self.seconds:010.3f}"

    def _turned(self, image: np.ndarray) -> np.ndarray:
        return np.rot90(image, round(self.decoded.rotation / 90))  # both counterclockwise


def is_frame_name(name: str, stem: str) -> bool:
    """Whether a file name starts as `VideoFrame.name` of a video's frame does."""
    return re.match(re.escape(stem) + r"_\d{6,}\.\d{3}(?!\d)", name) is not None


class Every(NamedTuple):
    """How many frames to take: one every so many `seconds`, or, if those are 0, every `frames`."""

    seconds: float = 0.0
    frames: int = 1


def parse_every(text: str) -> Every:
    """Reads "1s", "500ms" or "10" (frames).

    Raises:
      ValueError: it is none of these; the message says so.
    """
    found = _EVERY.fullmatch(text.strip())
    if found:
        number, unit = float(found[1]), found[2]
        if unit and number > 0:
            return Every(seconds=number / (1000 if unit == "ms" else 1))
        if not unit and number >= 1 and number.is_integer():
            return Every(frames=int(number))
    raise ValueError(
        f"{text!r} is neither a time, such as 1s or 500ms, nor a number of frames, such as 10"
    )


class VideoInfo(NamedTuple):
    """What a video's header says.

    Attributes:
      rate: frames a second.
      frames: about how many there are; None if the header doesn't say.
    """

    rate: fractions.Fraction
    frames: int | None

    def taken(self, every: Every) -> int | None:
        """About how many frames `every` takes."""
        if self.frames is None:
            return None
        if every.seconds:
            return math.ceil(min(self.frames, self.frames / self.rate / every.seconds))
        return math.ceil(self.frames / every.frames)

    def taken_rate(self, every: Every) -> fractions.Fraction:
        """Frames a second of a video of what `every` takes, which is as long."""
        if every.seconds:
            return min(self.rate, fractions.Fraction(1 / every.seconds).limit_denominator(1000))
        return self.rate / every.frames


def require() -> None:
    """Raises a DataError that says how to install PyAV, unless it is there."""
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise DataError("Videos need PyAV: pip install 'labor_jax[video]'.") from error


def read_info(path: Path) -> VideoInfo:
    """Reads a video's header.

    Raises:
      DataError: it is not a video that PyAV can read, or PyAV is not installed.
    """
    with _opened(path) as (container, stream):
        rate = stream.average_rate or stream.guessed_rate or _USUAL_RATE
        frames = stream.frames
        if not frames and container.duration:
            frames = math.ceil(container.duration / 1e6 * rate)
        return VideoInfo(fractions.Fraction(rate), frames or None)


def read_frames(path: Path, every: Every | None = None) -> Iterator[VideoFrame]:
    """Decodes a video, frame after frame.

    Args:
      path: the file.
      every: which frames; None for all. The first is always among them.

    Raises:
      DataError: it is not a video, it holds no frame, or a frame can't be decoded.
    """
    frames = _all_frames(path)
    if every is None:
        return frames
    if every.seconds:
        return _one_every(frames, every.seconds)
    return itertools.islice(frames, 0, None, every.frames)


def _one_every(frames: Iterable[VideoFrame], seconds: float) -> Iterator[VideoFrame]:
    """The first frame at or after each multiple of `seconds`."""
    due = 0
    for frame in frames:
        # Times are whole milliseconds: at 30 frames a second, 1 s may read as 0.999 s or 1.000 s.
        reached = math.floor((frame.seconds + 0.001) / seconds)
        if reached >= due:
            due = reached + 1
            yield frame


def _all_frames(path: Path) -> Iterator[VideoFrame]:
    start, before, index = None, -1, -1
    with _opened(path) as (container, stream):
        stream.thread_type = "AUTO"
        rate = stream.average_rate or stream.guessed_rate or _USUAL_RATE
        for index, decoded in enumerate(container.decode(stream)):
            time = decoded.time if decoded.time is not None else index / rate
            start = time if start is None else start
            milliseconds = max(round(1000 * float(time - start)), before + 1)
            before = milliseconds
            yield VideoFrame(index, milliseconds / 1000, decoded)
    if index < 0:
        raise DataError(f"{path} holds no frame that can be decoded.")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    require()
    import av

    if not path.is_file():
        if path.is_dir():
            raise DataError(f"{path} is a folder; name its videos, as in {path}/*.mp4.")
        raise DataError(f"{path} can't be read as a video: no such file.")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DataError(f"{path} holds no pictures, only other streams (such as sound).")
            yield container, container.streams.video[0]
    except av.FFmpegError as error:
        raise DataError(f"{path} can't be read as a video: {error.strerror or error}.") from error


class VideoWriter:
    """Writes images as an mp4 video; use it in a `with` block."""

    def __init__(self, path: Path, rate: fractions.Fraction):
        """Opens the file.

        Args:
          path: the file, which ends in ".mp4".
          rate: frames a second.
        """
        require()
        import av

        self._container = av.open(str(path), "w", format="mp4")
        self._rate = fractions.Fraction(rate).limit_denominator(65535)  # the format's limit
        self._stream = None

    def add(self, image: np.ndarray) -> None:
        """Adds a frame, uint8[H, W, 3]; later ones are resized to the first one's size."""
        import av

        if self._stream is None:
            self._start(image.shape[:2])
        height, width = self._size
        if image.shape[:2] != self._size:
            image = np.asarray(Image.fromarray(image).resize((width, height)))
        # The encoders take colours of 2x2 pixels, so sizes are even.
        image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def _start(self, size: tuple[int, int]) -> None:
        import av

        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        self._size = size
        self._stream = self._container.add_stream(codec, rate=self._rate)
        self._stream.height, self._stream.width = (side + side % 2 for side in size)
        self._stream.pix_fmt = "yuv420p"
        if codec == "libx264":
            self._stream.options = {"crf": "20", "preset": "veryfast"}

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._stream is not None and kind is None:
            self._container.mux(self._stream.encode())
        self._container.close()
