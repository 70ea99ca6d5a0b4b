"""What settings are chosen from, and what a choice is."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from labor_jax.data import base

Size = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known before the first step.

    Attributes:
      sizes: (height, width) of each image, by role; a split that was not read is absent.
      installed_weights: backbones whose "imagenet" weights are installed.
    """

    sizes: Mapping[str, tuple[Size, ...]]
    installed_weights: Collection[str] = ()

    def count(self, role: str) -> int:
        """The number of images in a split, 0 if it was not read."""
        return len(self.sizes.get(role, ()))

    def described(self, role: str) -> str:
        """A split's number of images and their sizes: "62 images of the pool, 360x480"."""
        sizes = collections.Counter(self.sizes[role])
        (height, width), _ = sizes.most_common(1)[0]
        images = "image" if self.count(role) == 1 else "images"
        text = f"{self.count(role):,} {images} of the {role}, {height}x{width}"
        if len(sizes) > 1:
            text = f"{self.count(role):,} {images} of the {role}, mostly {height}x{width}"
        if any(h > w for h, w in sizes) and any(h < w for h, w in sizes):
            text += ", upright and sideways"
        return text


@dataclasses.dataclass(frozen=True)
class Choice:
    """Values of fields that were open, and why.

    Attributes:
      fields: value by the field's dotted name in the config, "data.source_size".
      because: the reason, without a full stop.
      shown: names of the fields that a message shows; empty for all of them.
    """

    fields: Mapping[str, Any]
    because: str
    shown: Collection[str] = ()

    def __str__(self) -> str:
        names = [name for name in self.fields if not self.shown or name in self.shown]
        listed = [f"config.{name} = {self.fields[name]!r}" for name in names]
        rest = len(self.fields) - len(names)
        if rest:
            listed.append(f"{rest} fields that go with it")
        return f"{', '.join(listed)}: {self.because}"


def facts_of(pair: base.Pair, installed_weights: Collection[str] = ()) -> Facts:
    """Returns the facts about a pair's splits; reads no image."""
    sizes = {}
    for role in base.ROLES:
        split = getattr(pair, role)
        if split is not None:
            sizes[role] = tuple(tuple(split.size(i)) for i in range(len(split)))
    return Facts(sizes, installed_weights)
