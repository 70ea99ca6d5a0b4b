"""Random augmentation of training images: its settings, and how an example is made."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from labor_jax.data import class_sampling, transforms
from labor_jax.data.base import IGNORE_LABEL

_CROPS = 10  # that are tried to show a class, as in DAFormer


def _setting(default: Any, meaning: str, is_valid: Callable[[Any], bool]) -> Any:
    return dataclasses.field(default=default, metadata={"meaning": meaning, "is_valid": is_valid})


def _is_range(value: Any) -> bool:
    if value is None:
        return True
    low, high = value
    return 0 < low <= high < math.inf


def _is_size(value: Any) -> bool:
    transforms.check_size(value, "crop")
    return True


def _is_amount(value: Any) -> bool:
    return 0 <= value < math.inf


@dataclasses.dataclass(frozen=True)
class Augment:
    """The settings of the augmentation, `config.data.augment`. The defaults only mirror.

    Raises:
      ValueError: invalid setting.
    """

    flip: bool = _setting(
        True,
        "True: mirror left and right with probability 1/2; False: never",
        lambda value: isinstance(value, bool),
    )
    scale: tuple[float, float] | None = _setting(
        None,
        "(low, high), a range of factors: multiply the size by one, log-uniform; None is off; "
        "needs crop",
        _is_range,
    )
    crop: tuple[int, int] | None = _setting(
        None,
        "(height, width) in pixels of a window: cut it out at a random place, padded where the "
        "image is smaller; None is off. On pairs of your own images, such as folders, None is "
        "chosen by their size; to cut nothing there, give a window as large as the images",
        _is_size,
    )
    brightness: float = _setting(
        0.0, "b, 0 or more: multiply by a factor in [1 - b, 1 + b]; 0 is off", _is_amount
    )
    contrast: float = _setting(
        0.0,
        "c, 0 or more: scale the distance from the mean grey by a factor in [1 - c, 1 + c]; "
        "0 is off",
        _is_amount,
    )
    saturation: float = _setting(
        0.0,
        "s, 0 or more: scale the distance from grey by a factor in [1 - s, 1 + s]; 0 is off",
        _is_amount,
    )
    hue: float = _setting(
        0.0,
        "h, 0 to at most 0.5: turn the hue by a share in [-h, h] of the circle; 0 is off",
        lambda value: 0 <= value <= 0.5,
    )
    blur: float = _setting(
        0.0,
        "s, 0 or more: with probability 1/2 a Gaussian blur with a sigma in [0, s] pixels; 0 is "
        "off",
        _is_amount,
    )

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            try:
                valid = field.metadata["is_valid"](value)
            except (TypeError, ValueError):
                valid = False
            if not valid:
                raise ValueError(
                    f"augment.{field.name} = {value!r}, but it must be {field.metadata['meaning']}"
                )
        if self.scale and not self.crop:
            raise ValueError("augment.scale makes images of many sizes: set augment.crop as well")

    @classmethod
    def from_config(cls, section: Mapping[str, Any]) -> Augment:
        """Returns the settings in a config section; fields that are absent have their defaults.

        Args:
          section: `config.data.augment`, or another mapping.

        Raises:
          ValueError: unknown field or invalid setting.
        """
        values = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in section.items()
        }
        fields = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in fields:
                raise ValueError(
                    f"augment has no field {name!r}; its fields are {', '.join(fields)}"
                )
        return cls(**values)


def prepare(
    image: np.ndarray,
    label: np.ndarray,
    rng: np.random.Generator,
    *,
    size: tuple[int, int] | None = None,
    augment: Augment | None = None,
    sparse: bool = False,
    shown: int | None = None,
    beyond: int = IGNORE_LABEL,
) -> tuple[np.ndarray, np.ndarray]:
    """Makes a training example: resizes (once, to the scaled size), then augments.

    Args:
      image: uint8[H, W, 3].
      label: integer[H', W'], of any resolution.
      rng: the random generator; the same state gives the same result.
      size: (h, w) to resize to before `augment`; None for the image's own size.
      augment: the augmentation; None for none.
      sparse: whether labels are single pixels, see `transforms.resize_labels`.
      shown: a class that a crop should show: the first of up to 10 crops in which it fills half of
        `class_sampling.RARE_SHARE`, else the last.
      beyond: the label of a crop's pixels beyond the image.

    Returns:
      uint8[h, w, 3], and [h, w] of the label's dtype; their size is `augment.crop` if that is set.
    """
    size = tuple(size) if size else image.shape[:2]
    # Every step has its own generator, so that switching one off leaves the others unchanged.
    scale_rng, crop_rng, flip_rng, colour_rng, blur_rng = rng.spawn(5)
    if augment is not None and augment.scale:
        size = transforms.random_scale(size, augment.scale, scale_rng)
    image = transforms.resize_image(image, size)
    label = transforms.resize_labels(label, size, sparse=sparse)
    if augment is None:
        return image, label
    if augment.crop:
        image, label = _crop(image, label, augment.crop, crop_rng, shown, beyond)
    if augment.flip and flip_rng.random() < 0.5:
        image, label = transforms.flip(image, label)
    if augment.brightness or augment.contrast or augment.saturation or augment.hue:
        image = transforms.colour_jitter(
            image,
            colour_rng,
            brightness=augment.brightness,
            contrast=augment.contrast,
            saturation=augment.saturation,
            hue=augment.hue,
        )
    if augment.blur and blur_rng.random() < 0.5:
        image = transforms.gaussian_blur(image, blur_rng.uniform(0.0, augment.blur))
    return image, label


def _crop(image, label, size, rng, shown, beyond):
    """A random crop, if possible one that shows a class."""
    enough = 0.5 * class_sampling.RARE_SHARE * size[0] * size[1]
    for _ in range(1 if shown is None else _CROPS):
        cropped = transforms.random_crop(image, label, size, rng, beyond=beyond)
        if np.count_nonzero(cropped[1] == shown) >= enough:
            break
    return cropped
