"""Finding, decoding and checking image files, with errors that name the file."""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import io
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from labor_jax.data.base import DataError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
# Modes whose conversion to RGB loses nothing but transparency; 16-bit and float images would clip.
_COLOUR_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")
_LABEL_MODES = ("1", "L", "P", "I;16", "I;16L", "I;16B", "I;16N", "I")
_LISTED = 5


def read_image(path: pathlib.Path, content: bytes | None = None) -> np.ndarray:
    """Returns uint8[H, W, 3], the image in RGB.

    Args:
      path: the file.
      content: its bytes where they are in memory; `path` is then only named in messages.

    Raises:
      DataError: if the file cannot be decoded.
    """
    with _naming(path):
        content = path.read_bytes() if content is None else content
        pixels = _decode_plain_png(content, _RGB)
        if pixels is not None:
            return pixels
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image.convert("RGB"))


def read_label_values(
    path: pathlib.Path, channel: int | None = None, content: bytes | None = None
) -> np.ndarray:
    """Returns uint8, uint16 or int32[H, W], the values in a label file as they are.

    Args:
      path: the file.
      channel: for a 16-bit PNG of several channels, the one with the values; None: a file of one
        channel.
      content: see `read_image`; not for files of several channels.

    Raises:
      DataError: if the file cannot be decoded, or has several channels though `channel` is None.
    """
    if channel is not None:
        return _read_deep_channel(path, channel)
    with _naming(path):
        content = path.read_bytes() if content is None else content
        values = _decode_plain_png(content, _GREY)
        if values is not None:
            return values
        with Image.open(io.BytesIO(content)) as image:
            if image.mode not in _LABEL_MODES:
                raise DataError(f"{path} {_NOT_A_LABEL}; its mode is {image.mode}.")
            values = np.asarray(image)
    return values.astype(np.uint8) if values.dtype == bool else values


def _decode_plain_png(content: bytes, colour_type: int) -> np.ndarray | None:
    """Returns what Pillow would decode from a PNG, in about half the time.

    Args:
      content: the file's bytes.
      colour_type: `_RGB` or `_GREY`.

    Returns:
      uint8[H, W, 3] or uint8[H, W]; None where the file is no PNG of 8 bits and that colour type,
      or has transparency, or is damaged: Pillow reads it, or says what is wrong.
    """
    if _png_format(content) != (8, colour_type):
        return None
    import imagecodecs  # loads its libraries as they are needed

    try:
        pixels = imagecodecs.png_decode(content)
    except Exception:
        return None
    return pixels if pixels.shape[2:] == ((3,) if colour_type == _RGB else ()) else None


def _read_deep_channel(path: pathlib.Path, channel: int) -> np.ndarray:
    """Returns uint16[H, W], a channel of a 16-bit PNG."""
    import imagecodecs  # Pillow cuts 16-bit colour to 8

    with _naming(path):
        content = path.read_bytes()
        if _png_format(content)[0] != 16:
            raise DataError(f"{path} is no 16-bit PNG.")
        values = np.atleast_3d(imagecodecs.png_decode(content))
    if channel >= values.shape[2]:
        raise DataError(f"{path} has {values.shape[2]} channels; number {channel} was asked for.")
    return np.ascontiguousarray(values[..., channel])


_PNG_HEADER = 26  # signature, length and name of IHDR, width, height, bit depth, colour type
_GREY, _RGB = 0, 2  # colour types


def _png_format(header: bytes) -> tuple[int, int]:
    """Returns the bits a channel and the colour type of a PNG by its first `_PNG_HEADER` bytes.

    (0, 0) for another file.
    """
    if len(header) < _PNG_HEADER or not header.startswith(b"\x89PNG\r\n\x1a\n"):
        return 0, 0
    return header[24], header[25]


_NOT_A_LABEL = (
    "is no label map, a single-channel image of class numbers (convert colours to class numbers)"
)


def check_images(paths: Sequence[pathlib.Path], what: str) -> list[tuple[int, int]]:
    """Reads the headers of images and looks for files that are cut off.

    A file whose end is not where its format puts it (or whose format has no end marker) is decoded
    to see whether it is complete; the others are not.

    Args:
      paths: the files.
      what: what they are, for messages ("source images").

    Returns:
      (height, width) of each.

    Raises:
      DataError: naming the files that cannot be read and the number of them, or those that are
        not 8-bit images.
    """
    return _check(
        paths,
        what,
        lambda path, image: image.mode in _COLOUR_MODES,
        "are not 8-bit colour or grey images",
        "Convert them to 8 bits per channel.",
    )


def check_labels(
    paths: Sequence[pathlib.Path], what: str, channel: int | None = None
) -> list[tuple[int, int]]:
    """Does for label maps what `check_images` does for images.

    Args:
      paths: the files.
      what: what they are, for messages.
      channel: see `read_label_values`.

    Raises:
      DataError: naming the files that cannot be read, or have several channels though `channel` is
        None, or are no 16-bit PNGs though it isn't.
    """
    if channel is not None:

        def is_deep(path: pathlib.Path, image: Image.Image) -> bool:
            with path.open("rb") as file:
                return _png_format(file.read(_PNG_HEADER))[0] == 16

        return _check(paths, what, is_deep, "are not 16-bit PNGs", "Take the original files.")
    return _check(
        paths,
        what,
        lambda path, image: image.mode in _LABEL_MODES,
        "are not single-channel images of class numbers",
        "Convert label maps in colours to class numbers.",
    )


def _check(
    paths: Sequence[pathlib.Path],
    what: str,
    is_right: Callable[[pathlib.Path, Image.Image], bool],
    wrong: str,
    remedy: str,
) -> list[tuple[int, int]]:
    def read(path: pathlib.Path) -> tuple[tuple[int, int], str, str]:
        try:
            with _naming(path), Image.open(path) as image:
                if not is_right(path, image):
                    return (0, 0), "", f"{path} (mode {image.mode})"
                if not _has_end(path, image.format):
                    image.load()
                return (image.height, image.width), "", ""
        except DataError as error:
            return (0, 0), str(error), ""

    Image.init()  # loads the readers here: doing so from several threads at once is not safe
    found = in_threads(read, paths)
    report(
        f"{what} cannot be read",
        [unreadable for _, unreadable, _ in found if unreadable],
        "Copy or download them again.",
    )
    report(f"{what} {wrong}", [wrong_mode for *_, wrong_mode in found if wrong_mode], remedy)
    return [size for size, *_ in found]


def _has_end(path: pathlib.Path, image_format: str | None) -> bool:
    """Whether a file has its format's end marker; False where that cannot be told."""
    marker = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}.get(image_format)
    if marker is None:
        return False
    with path.open("rb") as file:
        file.seek(-len(marker), os.SEEK_END)
        return file.read() == marker


@contextlib.contextmanager
def _naming(path: pathlib.Path) -> Iterator[None]:
    """Turns whatever a decoder raises inside the block into a DataError that names the file."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # OSError, SyntaxError, ValueError, struct.error, ... for bad bytes
        reason = str(error)
        if isinstance(error, FileNotFoundError):
            reason = "no such file"
        elif isinstance(error, Image.UnidentifiedImageError):
            reason = "not an image of a known format"
        raise DataError(f"{path} cannot be read: {reason}") from error


def list_files(folder: pathlib.Path) -> list[str]:
    """Returns the paths, with "/", of all files below a folder, sorted; hidden ones left out."""
    files, seen = [], set()
    for directory, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(directory)
        if real in seen:  # a link to a folder above it
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = pathlib.Path(directory).relative_to(folder)
        files += [(below / name).as_posix() for name in names if not name.startswith(".")]
    return sorted(files)


def files_key(paths: Iterable[pathlib.Path], *more: object) -> str:
    """Returns a text that changes with the names, sizes or times of files, or with `more`."""

    def version(path: pathlib.Path) -> tuple[str, int, int]:
        status = path.stat()
        return path.name, status.st_size, status.st_mtime_ns

    described = repr((in_threads(version, paths), more))
    return hashlib.sha256(described.encode()).hexdigest()


def check_decoding(read: Callable[[int], np.ndarray], count: int) -> None:
    """Reads arrays 0 to `count - 1` for the errors that this raises."""
    # `is None` so that no thread's result holds on to an array.
    in_threads(lambda i: read(i) is None, range(count))


def in_threads(
    function: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    num_threads: int | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> list[Any]:
    """Returns `function` of every item, in order, computed by threads; re-raises their errors.

    Args:
      function: of one item.
      items: its arguments.
      num_threads: how many; None for four a core, at most 32.
      progress: a wrapper for a sequence as long as `items` that may show progress.
    """
    # Mostly waiting for files and decoders that release the GIL, hence more threads than cores.
    threads = num_threads or min(32, 4 * (os.cpu_count() or 1))
    with concurrent.futures.ThreadPoolExecutor(threads) as executor:
        futures = [executor.submit(function, item) for item in items]
        try:
            return [future.result() for future in progress(futures)]
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def report(problem: str, entries: Sequence[str], remedy: str) -> None:
    """Raises DataError unless `entries`, the files that have the problem, are none."""
    if entries:
        raise DataError(f"{len(entries)} {problem}: {listing(entries)}. {remedy}")


def listing(entries: Iterable[str]) -> str:
    """Returns the first few entries and the number of the others as text."""
    entries = list(entries)
    more = f" and {len(entries) - _LISTED} more" if len(entries) > _LISTED else ""
    return ", ".join(entries[:_LISTED]) + more
