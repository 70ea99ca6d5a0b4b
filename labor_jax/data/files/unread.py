"""Tells of the images and videos in a folder that can't be read, so that none is missed."""

from __future__ import annotations

import collections
import pathlib
from collections.abc import Iterable, Mapping

from labor_jax.data import messages
from labor_jax.data.files.video import VIDEO_EXTENSIONS

OTHER_IMAGES = (
    *(".heic", ".heif", ".avif", ".gif", ".jp2", ".jxl", ".jfif", ".tga"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2"),
)
"""Extensions of images whose format isn't read, in lower case."""


def is_unread(file: str) -> bool:
    """Whether a file is a video, or an image whose format isn't read."""
    return file.lower().endswith((*OTHER_IMAGES, *VIDEO_EXTENSIONS))


def told(
    files: Iterable[str], videos: str = "Take frames from videos with labor-jax frames."
) -> list[str]:
    """Returns a sentence about the images that aren't read and one about the videos.

    Args:
      files: names or paths; those of other files don't count.
      videos: what to do with videos, a sentence.
    """
    files, sentences = list(files), []
    for extensions, remedy in (
        (OTHER_IMAGES, "Convert them to JPEG or PNG."),
        (VIDEO_EXTENSIONS, videos),
    ):
        found = [file for file in files if file.lower().endswith(extensions)]
        if found:
            kinds = collections.Counter(pathlib.PurePath(file).suffix.lower() for file in found)
            sentences.append(f"Not read: {counted(kinds)} ({messages.listing(found)}). {remedy}")
    return sentences


def counted(kinds: Mapping[str, int]) -> str:
    """Returns how many there are of each kind, the most frequent first: "12 .heic, 1 .gif"."""
    return messages.listing(f"{n:,} {e}" for e, n in sorted(kinds.items(), key=lambda c: -c[1]))
