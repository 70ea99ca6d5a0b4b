"""Where the image and label files of a split are."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from labor_jax.data.files import listing, names


@dataclasses.dataclass(frozen=True)
class FolderLayout:
    """The folders of a split, and how an image's label is found.

    Attributes:
      images: images folder, below the root or absolute. Its subfolders are read too.
      labels: labels folder with the same subfolders; empty for a split without labels.
      pattern: globs on a file's path below `images` ("0006R0*", "*_leftImg8bit.png"). A file that
        matches any of them belongs to the split. `*` also matches "/". A text may hold several
        between commas, of which spaces around one don't count.
      image_suffix: ending of image file names, before the extension, that label names lack
        ("_leftImg8bit").
      label_pattern: file name of an image's label; "{stem}" is the image's file name without
        extension and `image_suffix`. The label's extension may be in capitals too.
      label_map: class number of each value or colour in the label files ("7:0, 8:1, other:255"),
        see `LabelMap`; empty if the values are class numbers.
      label_map_field: the config field that `label_map` came from, for errors; empty for the
        split's own.
      label_coding: one of `label_map.CODINGS`.
      label_channel: for labels in 16-bit PNGs of several channels, the channel of the values; None
        for labels in single-channel files.
      skip: names of images to leave out, see `FolderSplit.names`.
      known_defects: names of images that are known to lack a label or to differ from it in size.
        Those that do are left out. The same defect under any other name is an error.
      advice: what errors tell the user to do; empty for advice on the fields of `config.data`.
    """

    images: str
    labels: str
    pattern: str | Sequence[str] = "*"
    image_suffix: str = ""
    label_pattern: str = "{stem}.png"
    label_map: str | Mapping[Any, int | str] = ""
    label_map_field: str = ""
    label_coding: str = "auto"
    label_channel: int | None = None
    skip: Collection[str] = ()
    known_defects: Collection[str] = ()
    advice: str = ""

    @property
    def patterns(self) -> tuple[str, ...]:
        """The globs of `pattern`."""
        if not isinstance(self.pattern, str):
            return tuple(self.pattern)
        return tuple(part.strip() for part in self.pattern.split(",") if part.strip())

    def matches(self, file: str) -> bool:
        """Whether a file, by its path below `images`, matches one of the patterns."""
        return any(matches(file, pattern) for pattern in self.patterns)

    def matches_name(self, name: str) -> bool:
        """Whether an image file of this name, with any extension, matches one of the patterns."""
        file = name + self.image_suffix
        return any(self.matches(file + extension) for extension in listing.IMAGE_EXTENSIONS)


def matches(file: str, pattern: str) -> bool:
    """Whether a file's path matches a glob, however accents in them are written."""
    return fnmatch.fnmatchcase(names.comparable(file), names.comparable(pattern))
