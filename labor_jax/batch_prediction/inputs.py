"""Finds the images and videos that `--images` names, and a name for the outputs of each."""

from __future__ import annotations

import collections
import glob
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from labor_jax import output_files
from labor_jax.data import DataError, messages
from labor_jax.data.files import listing, unread, video

logger = logging.getLogger(__name__)


class Input(NamedTuple):
    """An image or a video.

    Attributes:
      path: the file.
      file: its path below the folder that all inputs share, with "/".
      name: what its outputs are called: `file` without its extension. It keeps the extension if
        another input of the same kind, or an image and a frame of the video, would be called alike.
    """

    path: Path
    file: str
    name: str


class Inputs(NamedTuple):
    """What `--images` names.

    Attributes:
      images: the images, sorted by path.
      videos: the videos, sorted by path.
      protected: the folders and files that no output may change.
    """

    images: tuple[Input, ...]
    videos: tuple[Input, ...]
    protected: tuple[Path, ...]


def find(named: Sequence[str]) -> Inputs:
    """Finds images and videos.

    Args:
      named: folders (their images, with those of subfolders), files, and globs.

    Returns:
      The inputs. A file that is named twice is there once.

    Raises:
      DataError: one of `named` is not there, holds no image, or is of another kind.
    """
    files, folders, protected = [], [], []
    for each in named:
        path = Path(each).expanduser()
        if path.is_dir():
            files += _images_of(path, each)
            folders.append(path)
            protected.append(path)
        elif path.exists():
            _check_kind(path, each)
            files.append(path)
            folders.append(path.parent)
        else:
            matching = _matching(each)
            files += matching
            folders += [path.parent for path in matching]
            if "**" in each:
                protected.append(Path(os.path.commonpath(folders[-len(matching) :])))
    files = sorted({Path(os.path.abspath(path)) for path in files})
    base = Path(os.path.commonpath([os.path.abspath(folder) for folder in folders]))
    images = _named([path for path in files if not _is_video(path)], base)
    videos = _named([path for path in files if _is_video(path)], base, _holding_frames(images))
    return Inputs(images, videos, protected=(*protected, *files))


def _images_of(folder: Path, named: str) -> list[Path]:
    files = listing.list_files(folder)
    images = [folder / file for file in files if _is_image(folder / file)]
    videos = [file for file in files if _is_video(folder / file)]
    to_name = f"--images '{folder / ('*' + Path(videos[0]).suffix)}'" if videos else ""
    if images:
        for sentence in unread.told(files, f"Name videos themselves: {to_name}."):
            logger.warning("%s: %s", folder, sentence)
        return images
    if videos:
        raise DataError(
            f"--images {named} holds no images, but {len(videos)} videos. Name them: {to_name}."
        )
    extensions = " ".join(listing.IMAGE_EXTENSIONS)
    held = f"none of its {len(files)} files is an image" if files else "the folder is empty"
    problem = f"--images {named} holds no images ({extensions}): {held}."
    raise DataError(" ".join([problem, *unread.told(files)]))


def _matching(named: str) -> list[Path]:
    """The images and videos that a glob matches."""
    if not glob.has_magic(named):
        raise DataError(
            f"--images {named}: there is no such folder or file. Name a folder, an image, a video "
            "or a quoted glob, such as 'photos/*.jpg'."
        )
    found = [Path(each) for each in sorted(glob.glob(os.path.expanduser(named), recursive=True))]
    files = [path for path in found if not path.is_dir()]  # links to nothing are named at the end
    left_out = _left_out([path for path in found if path.is_dir()], files)
    if not files:
        folders = f", but folders do: {messages.listing(left_out)}. Name them" if left_out else ""
        raise DataError(f"--images {named}: no file matches{folders}.")
    wanted = [path for path in files if _is_image(path) or _is_video(path)]
    if not wanted:
        _check_kind(files[0], named)
    others = [str(path) for path in files if path not in set(wanted)]
    if others:
        logger.warning(
            "Left out, neither images nor videos: %d files, %s",
            len(others),
            messages.listing(others),
        )
    if left_out:
        logger.warning(
            "Left out, since %s matches them as folders: %s. To predict their images, name them "
            "with --images too.",
            named,
            messages.listing(left_out),
        )
    return wanted


def _left_out(folders: Iterable[Path], files: Iterable[Path]) -> list[str]:
    """Those of some folders that hold an image or video which is not among the files.

    What may not be read, or is an output of the package, is none.
    """
    taken = set(files)

    def is_left_out(path: Path) -> bool:
        is_hidden = path.name.startswith(".")
        return not is_hidden and path not in taken and (_is_image(path) or _is_video(path))

    def holds_some(folder: Path) -> bool:
        for directory, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            if output_files.LISTED not in names and any(
                is_left_out(Path(directory, name)) for name in names
            ):
                return True
        return False

    return [str(folder) for folder in folders if holds_some(folder)]


def _check_kind(path: Path, named: str) -> None:
    if not path.is_file():
        raise DataError(f"--images {named} is neither a file nor a folder.")
    if not _is_image(path) and not _is_video(path):
        raise DataError(
            f"--images {named}: {path.name} is neither an image "
            f"({' '.join(listing.IMAGE_EXTENSIONS)}) nor a video "
            f"({' '.join(video.VIDEO_EXTENSIONS)})."
        )


def _is_image(path: Path) -> bool:
    return path.name.lower().endswith(listing.IMAGE_EXTENSIONS)


def _is_video(path: Path) -> bool:
    return path.name.lower().endswith(video.VIDEO_EXTENSIONS)


def _named(paths: Iterable[Path], base: Path, taken: Iterable[str] = ()) -> tuple[Input, ...]:
    """Inputs with a name each; none is one of those that are `taken`, in small letters."""
    files = {path: path.relative_to(base).as_posix() for path in paths}
    stems = {path: file.rpartition(".")[0] for path, file in files.items()}
    # Case doesn't tell names apart on the disks of many cameras and computers.
    count = collections.Counter(stem.casefold() for stem in stems.values())
    count.update(file.casefold() for file in files.values())  # what another may be called
    taken = set(taken)

    def name(path: Path) -> str:
        stem = stems[path].casefold()
        return files[path] if count[stem] > 1 or stem in taken else stems[path]

    return tuple(Input(path, file, name(path)) for path, file in files.items())


def _holding_frames(images: Iterable[Input]) -> Iterator[str]:
    """The folders DIR, in small letters, that hold an image named like a frame of DIR.mp4."""
    for image in images:
        folder, _, name = image.name.casefold().rpartition("/")
        if video.is_frame_name(name, folder.rpartition("/")[2]):
            yield folder
