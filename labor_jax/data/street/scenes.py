"""Rendering of one labelled scene, and a split of scenes with random access."""

from __future__ import annotations

import operator
import threading
from collections import OrderedDict

import numpy as np

from labor_jax.data.street import light, sensor, styles
from labor_jax.data.street.dice import Dice
from labor_jax.data.street.layout import compose
from labor_jax.data.street.shading import shade

DOMAINS: tuple[str, ...] = ("simulator", "camera")
MINIMUM_SIZE: tuple[int, int] = (32, 64)

_STYLES = {
    "simulator": (
        styles.SIMULATOR_STATISTICS,
        styles.SIMULATOR_MATERIALS,
        light.simulator_light,
    ),
    "camera": (styles.CAMERA_STATISTICS, styles.CAMERA_MATERIALS, light.camera_light),
}
_RECENT = 32


def _check_domain(domain: str) -> None:
    if domain not in DOMAINS:
        raise ValueError(f"unknown domain {domain!r}; the street scenes have {', '.join(DOMAINS)}")


def _check_size(size: tuple[int, int]) -> tuple[int, int]:
    try:
        height, width = (operator.index(side) for side in size)
    except (TypeError, ValueError):
        raise ValueError(f"size must be two integers (height, width), got {size!r}") from None
    if height < MINIMUM_SIZE[0] or width < MINIMUM_SIZE[1]:
        raise ValueError(
            f"size (height, width) must be at least {MINIMUM_SIZE}, got {(height, width)}: "
            "poles and signs vanish in smaller images"
        )
    return height, width


def _check_whole(name: str, value: int) -> int:
    try:
        whole = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be an integer, got {value!r}") from None
    if whole < 0:
        raise ValueError(f"{name} must not be negative, got {whole}")
    return whole


def render(
    domain: str, seed: int, index: int, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Renders one street scene.

    The result depends on the arguments alone. The layout is sampled in coordinates that do not
    depend on the size, so another size shows the same scene, stretched to the frame.

    Args:
      domain: one of `DOMAINS`.
      seed: names the split; another seed gives other scenes.
      index: the scene's number in the split.
      size: (height, width) in pixels, at least `MINIMUM_SIZE`.

    Returns:
      The image uint8[H, W, 3] and the label uint8[H, W] with the indices of `CLASSES`. Every pixel
      has a class; the ignore label does not occur.

    Raises:
      ValueError: for an unknown domain, a negative seed or index, or too small a size.
    """
    _check_domain(domain)
    size = _check_size(size)
    key = (_check_whole("seed", seed), DOMAINS.index(domain), _check_whole("index", index))
    rng = np.random.default_rng(key)
    dice = Dice(rng)
    statistics, materials, sample_light = _STYLES[domain]
    weather = sample_light(dice)
    canvas = compose(size, statistics, materials, weather, dice)
    colours = shade(canvas, weather, dice.integer(0, 127))
    labels = canvas.labels()
    if domain == "camera":
        return sensor.render_camera(colours, dice, rng), labels
    return sensor.render_clean(colours), labels


class StreetScenes:
    """A split of street scenes with random access.

    Rendered scenes stay in memory until `cache_bytes` are used, so that each is rendered once.
    Scenes that no longer fit are rendered again whenever they are read. Cached scenes are never
    dropped: dropping the oldest would drop every scene of a larger split before its next use. Safe
    to read from several threads; can be pickled, without its cache.

    Args:
      domain: one of `DOMAINS`.
      count: number of scenes.
      size: (height, width) in pixels, at least `MINIMUM_SIZE`.
      seed: names the split: splits of different seeds share no scene.
      cache_bytes: memory that the kept scenes may use; 0 keeps only the few latest.

    Attributes:
      domain: as given.
      names: unique names of the scenes, sorted, such as "camera_00012".

    Raises:
      ValueError: for an unknown domain, a count that is not positive, a negative seed or cache, or
        too small a size.
    """

    def __init__(
        self,
        domain: str,
        count: int,
        *,
        size: tuple[int, int] = (96, 192),
        seed: int = 0,
        cache_bytes: int = 512 * 2**20,
    ):
        _check_domain(domain)
        if _check_whole("count", count) == 0:
            raise ValueError(f"count must be positive, got {count}: a split needs a scene")
        self.domain = domain
        self._size = _check_size(size)
        self._seed = _check_whole("seed", seed)
        digits = max(5, len(str(count - 1)))
        self.names: tuple[str, ...] = tuple(f"{domain}_{k:0{digits}d}" for k in range(count))
        scene_bytes = 4 * self._size[0] * self._size[1]
        self._capacity = _check_whole("cache_bytes", cache_bytes) // scene_bytes
        self._reset_cache()

    def _reset_cache(self) -> None:
        self._kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        # An image and its label are read one after the other, also of a scene that is not kept.
        self._recent: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict:
        state = self.__dict__.copy()
        for name in ("_kept", "_recent", "_lock"):
            del state[name]
        return state

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._reset_cache()

    def __len__(self) -> int:
        return len(self.names)

    def size(self, index: int) -> tuple[int, int]:
        """Returns (height, width) of a scene in pixels, without rendering it."""
        self._check_index(index)
        return self._size

    def image(self, index: int) -> np.ndarray:
        """Returns the image uint8[H, W, 3] of a scene, read-only.

        Raises:
          IndexError: for an index outside 0 ... len - 1.
        """
        return self._scene(index)[0]

    def label(self, index: int) -> np.ndarray:
        """Returns the label uint8[H, W] of a scene, read-only.

        Raises:
          IndexError: for an index outside 0 ... len - 1.
        """
        return self._scene(index)[1]

    def _check_index(self, index: int) -> int:
        index = operator.index(index)
        if not 0 <= index < len(self):
            raise IndexError(f"scene {index} of a split of {len(self)}: use 0 to {len(self) - 1}")
        return index

    def _scene(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        index = self._check_index(index)
        with self._lock:
            scene = self._kept.get(index) or self._recent.get(index)
        if scene is not None:
            return scene
        # Outside the lock: threads render side by side; two that render the same scene agree.
        scene = render(self.domain, self._seed, index, self._size)
        for array in scene:
            array.flags.writeable = False
        with self._lock:
            if len(self._kept) < self._capacity:
                self._kept[index] = scene
            else:
                self._recent[index] = scene
                if len(self._recent) > _RECENT:
                    self._recent.popitem(last=False)
        return scene
