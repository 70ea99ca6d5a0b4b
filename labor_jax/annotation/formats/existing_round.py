"""The pool's images as the formats see them, to import labels that existed before the run."""

import dataclasses
import functools
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from labor_jax.annotation.formats.exported_round import VOID, ExportedRound, Problem, shortened
from labor_jax.data.base import DataError
from labor_jax.data.files.listing import IMAGE_EXTENSIONS, list_files
from labor_jax.data.files.names import comparable

# Label Studio puts this before the names of uploaded files, and this before a file of its storage.
_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")
_STORAGE_PREFIX = "?d="


def list_label_files(path: Path, is_one: Callable[[str], bool], what: str) -> dict[str, Path]:
    """Finds files of labels.

    Args:
      path: A folder that exists, with its subfolders, or one file.
      is_one: Whether a file, by its path below the folder, is one of them.
      what: What they are, for the error.

    Returns:
      The files, by their paths below the folder.

    Raises:
      DataError: If there are none.
    """
    root, files = (path, list_files(path)) if path.is_dir() else (path.parent, [path.name])
    found = {file: root / file for file in files if is_one(file)}
    if not found:
        raise DataError(f"{path} holds no {what}")
    return found


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ExistingRound(ExportedRound):
    """The pool's images, which files name by the images' own names.

    Attributes:
      read_label: Reads a label map as those of the pool: class numbers, 255 where not labelled.
      label_patterns: File names of label maps; "{stem}" is the image's name.
      image_suffix: Ending of image file names, before the extension, that the names lack.
      unknown_is_void: Whether shapes of a name that is no class are void, and not an error.
    """

    read_label: Callable[[Path], np.ndarray]
    label_patterns: tuple[str, ...] = ("{stem}.png",)
    image_suffix: str = ""
    unknown_is_void: bool = False

    def identify(
        self, name: Any, size: tuple[Any, Any] | None, *, is_file: bool = True
    ) -> tuple[int | None, tuple[Problem, ...]]:
        """Finds the image of the pool that a file names, with folders or without.

        Args:
          name: The name of the image's file; or the image's own, without extension and suffix.
          size: See `ExportedRound.identify`.
          is_file: Whether it is rather the file's. "photo.png" may be either one's.
        """
        path = name if isinstance(name, str) else ""
        path = path.replace("\\", "/").rpartition(_STORAGE_PREFIX)[2]
        folder, slash, base = path.rpartition("/")
        is_image = base.lower().endswith(IMAGE_EXTENSIONS)
        of_file = (base.rpartition(".")[0] if is_image else base).removesuffix(self.image_suffix)
        bases = (of_file, base) if is_file else (base, of_file)
        for each in (*bases, *(_UPLOAD_PREFIX.sub("", base) for base in bases)):
            numbers = self._numbers(folder + slash + each) if each else []
            if len(numbers) == 1:
                return numbers[0], self.check_size(numbers[0], size)
            if numbers:
                listed = ", ".join(repr(self.names[number]) for number in numbers[:3])
                listed += ", …" if len(numbers) > 3 else ""
                text = f"may be any of {len(numbers)} images ({listed}); name its folder too"
                return None, (Problem.about(f"{shortened(name)} ", text),)
        return None, (Problem.about(f"{shortened(name)} ", "is not an image of the pool"),)

    def label_named(self, name: Any) -> int:
        """The label with a name in a file; void for unknown names if they are allowed."""
        if self.unknown_is_void and name not in self.label_values:
            return VOID
        return super().label_named(name)

    def _numbers(self, path: str) -> list[int]:
        """The images whose name is the end of a path, or else ends in it."""
        folders = comparable(path).split("/")
        for start in range(len(folders)):
            numbers = self._by_name.get("/".join(folders[start:]))
            if numbers is not None:
                return numbers
        return self._by_ending.get(comparable(path), [])

    @functools.cached_property
    def _by_name(self) -> dict[str, list[int]]:
        by_name = defaultdict(list)
        for number, name in self.names.items():
            by_name[comparable(name)].append(number)
        return by_name

    @functools.cached_property
    def _by_ending(self) -> dict[str, list[int]]:
        endings = defaultdict(list)
        for number, name in self.names.items():
            folders = comparable(name).split("/")
            for start in range(1, len(folders)):
                endings["/".join(folders[start:])].append(number)
        return endings
