"""Takes frames out of videos: `labor-jax frames VIDEO [VIDEO …] --every 1s --output DIR`.

Writes `VIDEO_SECONDS.jpg` (`drive_000012.500.jpg` is 12.5 seconds after the first frame), turned as
the video is shown. A frame that hardly differs from the last one kept is left out. The same command
goes on where it was stopped; it replaces no file that it did not write.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from absl import app, flags
from PIL import Image

from labor_jax import command_line
from labor_jax.data import DataError
from labor_jax.data.files import video
from labor_jax.data.files.video import Every, VideoFrame
from labor_jax.output_files import OutputFolder

_EVERY = flags.DEFINE_string(
    "every", "1s", "A frame each 1s or 500ms, or every so many frames: 10."
)
_OUTPUT = flags.DEFINE_string("output", None, "The folder to write to; made if absent.")
_OVERWRITE = command_line.define_overwrite()
_FORMAT = flags.DEFINE_enum("format", "jpg", ["jpg", "png"], "The images' format.")
_QUALITY = flags.DEFINE_integer("quality", 95, "Of jpg, 1 to 100.")
_MIN_DIFFERENCE = flags.DEFINE_float(
    "min_difference",
    2.0,
    "Least mean difference in brightness (0 to 255) between a frame and the last one kept, as "
    "thumbnails of 32x32; 0 keeps all.",
)

_THUMBNAIL = 32  # averages out noise and compression


def main(argv: Sequence[str]) -> None:
    """Takes frames out of videos."""
    paths = [Path(each).expanduser() for each in argv[1:]]
    if not paths or not _OUTPUT.value:
        raise app.UsageError("Name videos, and give --output.")
    if not 1 <= _QUALITY.value <= 100:
        raise app.UsageError(f"--quality is {_QUALITY.value}; it lies from 1 to 100.")
    if not 0 <= _MIN_DIFFERENCE.value <= 255:
        raise app.UsageError(f"--min_difference is {_MIN_DIFFERENCE.value}; it lies from 0 to 255.")
    try:
        every = video.parse_every(_EVERY.value)
    except ValueError as error:
        raise app.UsageError(f"--every: {error}.") from error
    _check_stems(paths)
    folder = OutputFolder(_OUTPUT.value, inputs=paths, overwrite=_OVERWRITE.value)
    outdated = []
    for path in paths:
        video.read_info(path)  # all of them, before anything is written
        outdated += _outdated(folder, path)
    for name in outdated:
        folder.remove(name)
    total_kept = 0
    for path in paths:
        kept, dropped = _write_frames(folder, path, every)
        total_kept += kept
        print(f"{path}: {kept} frames kept, {dropped} near-duplicates dropped")
    print(
        f"{total_kept} images are in {folder.path}. To use them as the pool of a run:\n"
        f"  --config.data.pool.images={folder.path.resolve()} --config.data.pool.labels= "
        "--config.annotator=human"
    )


def _check_stems(paths: Sequence[Path]) -> None:
    stems: dict[str, Path] = {}
    for path in paths:
        other = stems.setdefault(path.stem.casefold(), path)
        if other is not path:
            raise DataError(
                f"{other} and {path} have the same name, by which frames are called; rename one, "
                "or give them different --output folders."
            )


def _outdated(folder: OutputFolder, path: Path) -> list[str]:
    """The video's frames of an earlier command with other flags.

    Raises:
      OutputError: a file with a frame's name is in the way.
    """
    names = [name for name in folder.existing() if video.is_frame_name(name, path.stem)]
    return folder.remaining(dict.fromkeys(names, _key(path)))


def _write_frames(folder: OutputFolder, path: Path, every: Every) -> tuple[int, int]:
    """Writes a video's frames; returns how many were kept, and how many dropped."""
    # The progress bar's module loads JAX, which nothing else here needs.
    from labor_jax.training import loop

    key, kept, dropped = _key(path), 0, 0
    total = video.read_info(path).taken(every)
    taken = loop.progress_bar(
        video.read_frames(path, every), total=total, desc=path.name, unit="frame"
    )
    for frame, is_new in _told_apart(taken, _MIN_DIFFERENCE.value):
        if not is_new:
            dropped += 1
            continue
        kept += 1
        name = f"{frame.name(path.stem)}.{_FORMAT.value}"
        if folder.remaining({name: key}):
            with folder.writing(name, key) as temporary:
                Image.fromarray(frame.image()).save(temporary, quality=_QUALITY.value)
    return kept, dropped


def _told_apart(
    frames: Iterator[VideoFrame], min_difference: float
) -> Iterator[tuple[VideoFrame, bool]]:
    """Each frame, and whether it differs enough from the last one that did."""
    last = None
    for frame in frames:
        thumbnail = frame.thumbnail(_THUMBNAIL)
        is_new = last is None or np.abs(thumbnail - last).mean() >= min_difference
        if is_new:
            last = thumbnail
        yield frame, is_new


def _key(path: Path) -> str:
    status = path.stat()
    described = f"{path.name} of {status.st_size} bytes at {status.st_mtime_ns}"
    quality = f" {_QUALITY.value}" if _FORMAT.value == "jpg" else ""
    taken = f"every {_EVERY.value}, differing by {_MIN_DIFFERENCE.value:g}"
    return f"frame of {described}, {taken}, {_FORMAT.value}{quality}"


if __name__ == "__main__":
    raise SystemExit(command_line.run(main))
