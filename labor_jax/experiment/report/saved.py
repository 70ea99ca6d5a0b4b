"""A run's `summary.json` and `config.json` as they lie in its folder, with their types checked."""

import json
import math
import textwrap
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from labor_jax.experiment.report import stages
from labor_jax.experiment.workdir import ConfigError, Workdir

_SHOWN = 40  # characters of a wrong value


class _Kind(NamedTuple):
    """What a field may hold: in words, and whether a value is of it."""

    words: str
    fits: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value >= 0


def _is_share(value: Any) -> bool:
    return value is None or (_is_number(value) and value <= 1)


_NUMBER = _Kind("a number of 0 or more", _is_number)
_NUMBER_OR_NULL = _Kind("a number or null", lambda value: value is None or _is_number(value))
_INTEGER = _Kind("an integer", lambda value: type(value) is int)
_SHARE = _Kind("a number from 0 to 1, or null", _is_share)
_TEXT = _Kind("a text", lambda value: isinstance(value, str))
_OBJECT = _Kind("an object", lambda value: isinstance(value, dict))
_COUNTS = _Kind(
    "an object with images and pixels, or null",
    lambda value: (
        value is None
        or (
            isinstance(value, dict)
            and all(type(value.get(name)) is int for name in ("images", "pixels"))
        )
    ),
)
_OBJECTS = _Kind(
    "a list of objects",
    lambda value: isinstance(value, list) and all(isinstance(each, dict) for each in value),
)
_TEXTS = _Kind(
    "a list of texts",
    lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
)
_NAMED_TEXTS = _Kind(
    "an object of texts",
    lambda value: isinstance(value, dict) and all(isinstance(each, str) for each in value.values()),
)
_SHARES = _Kind(
    "an object of numbers from 0 to 1, or null",
    lambda value: (
        value is None or (isinstance(value, dict) and all(map(_is_share, value.values())))
    ),
)
_MATRIX = _Kind(
    "a square of integers, or null",
    lambda value: (
        value is None
        or (
            isinstance(value, list)
            and all(
                isinstance(row, list)
                and len(row) == len(value)
                and all(type(each) is int for each in row)
                for row in value
            )
        )
    ),
)

_SUMMARY = {
    "method": _TEXT,
    "pair": _TEXT,
    "seed": _INTEGER,
    "final_miou": _SHARE,
    **{key: _SHARE for _, key in stages.BEFORE},
    "unmeasured": _TEXTS,
    "measured_on": _TEXT,
    "existing_labels": _COUNTS,
    "rounds": _OBJECTS,
    "per_class_iou": _SHARES,
    "subset_miou": _SHARES,
    "miou_error": _NUMBER_OR_NULL,
    "confusion": _MATRIX,
    "device": _TEXT,
    "wall_seconds": _NUMBER,
    "versions": _NAMED_TEXTS,
}
_ROUND = {
    "round": _INTEGER,
    "miou": _SHARE,
    "per_class_iou": _SHARES,
    "labelled_pixels": _NUMBER,
    "labelled_fraction": _NUMBER,
    "pixels_per_image": _NUMBER,
    "clicks": _NUMBER,
    "annotation_seconds": _NUMBER,
    "annotation_source": _TEXT,
    "annotation_dollars": _NUMBER_OR_NULL,
    "labor_seconds": _NUMBER,
    "published_seconds": _NUMBER,
    "wall_seconds": _NUMBER,
    "measured_images": _NUMBER,
    "measured_pixels": _NUMBER,
}
_CONFIG = {"method": _TEXT, "pair": _TEXT, "acquisition": _OBJECT, "terms": _OBJECT}

_NEEDED = ("seed", "final_miou", "rounds", "per_class_iou", "wall_seconds")
_NEEDED_OF_ROUND = (
    "round",
    "miou",
    "labelled_fraction",
    "pixels_per_image",
    "annotation_seconds",
)
_COUNTED = ("clicks", "published_seconds", "labor_seconds")  # where people's work was counted


def read_summary(folder: Workdir, needed: Collection[str] = ()) -> dict[str, Any]:
    """What `summary.json` holds.

    Args:
      folder: the run's.
      needed: fields that have to be there, beside those that every run has.

    Raises:
      ConfigError: the file is damaged; the message names the field.
    """
    path = folder.summary
    summary = _read(path)
    _check(path, summary, _SUMMARY, (*_NEEDED, *needed))
    for number, entry in enumerate(summary["rounds"], start=1):
        counted = _COUNTED if "work" in entry else ()
        _check(path, entry, _ROUND, (*_NEEDED_OF_ROUND, *counted), f"rounds[{number}].")
    return summary


def read_config(folder: Workdir, needed: Collection[str] = ()) -> dict[str, Any]:
    """What `config.json` holds, of an older version's run, too.

    Args:
      folder: the run's.
      needed: fields that have to be there.

    Raises:
      ConfigError: the file is damaged; the message names the field.
    """
    config = _read(folder.config)
    _check(folder.config, config, _CONFIG, needed)
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise ConfigError(f"{path} is damaged ({error}); restore it.") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path} is damaged (it holds no JSON object); restore it.")
    return found


def _check(
    path: Path,
    found: dict[str, Any],
    kinds: Mapping[str, _Kind],
    needed: Collection[str],
    prefix: str = "",
) -> None:
    for name in needed:
        if name not in found:
            raise ConfigError(
                f"{path} is of another version of labor_jax, or damaged: it has no "
                f"{prefix}{name}. Use the version that wrote it, or restore the file."
            )
    for name, value in found.items():
        if name in kinds and not kinds[name].fits(value):
            shown = textwrap.shorten(json.dumps(value), _SHOWN, placeholder=" …")
            raise ConfigError(
                f"{path} is damaged ({prefix}{name} is {shown}, not {kinds[name].words}); "
                "restore it."
            )
