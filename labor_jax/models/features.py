"""What a backbone hands to a head."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from labor_jax.ops import Taps, interpolate, resize_bilinear_align_corners, taps_align_corners


class Window(struct.PyTreeNode):
    """Where features of a window lie in the whole image, see `models.windowed_outputs`.

    Attributes:
      offsets: for each map int32[2], the row and column at which the window begins in the whole
        image's map.
      means: for each map f32[B, 1, 1, C_i], the mean over the whole image's map; None when no head
        asks for it.
      sizes: for each map the (height, width) of the whole image's map.
    """

    offsets: tuple[jax.Array, ...]
    means: tuple[jax.Array, ...] | None
    sizes: tuple[tuple[int, int], ...] = struct.field(pytree_node=False)


class Features(struct.PyTreeNode):
    """A backbone's feature maps.

    `features[-1]` is the last map and `features["stage3"]` the map of that name. A head that calls
    `mean` and `resize` instead of computing them itself also works on windows of large images.

    Attributes:
      maps: [B, h_i, w_i, C_i] each, in the order of computation, finest first.
      names: each map's name, "stage1" and so on.
      strides: each map's stride relative to the image.
      window: None for the features of a whole image.
    """

    maps: tuple[jax.Array, ...]
    names: tuple[str, ...] = struct.field(pytree_node=False)
    strides: tuple[int, ...] = struct.field(pytree_node=False)
    window: Window | None = None

    @classmethod
    def of_stages(
        cls, maps: Sequence[jax.Array], strides: Sequence[int], first: int = 1
    ) -> "Features":
        """Names the maps "stage1", "stage2" and so on, counted from `first`."""
        names = tuple(f"stage{first + index}" for index in range(len(maps)))
        return cls(tuple(maps), names, tuple(strides))

    def __getitem__(self, key: int | str) -> jax.Array:
        """The map at an index (IndexError beyond) or of a name (KeyError lists the names)."""
        return self.maps[self._index(key)]

    def at_stride(self, stride: int) -> jax.Array:
        """The last map of a stride; KeyError lists the strides."""
        if stride not in self.strides:
            valid = ", ".join(map(str, sorted(set(self.strides))))
            raise KeyError(f"no feature map has stride {stride}; valid: {valid}.")
        return self.maps[len(self.strides) - 1 - self.strides[::-1].index(stride)]

    def up_to(self, key: int | str) -> "Features":
        """The features that end with a map: `features.up_to(-2)` drops the last one."""
        stop = self._index(key) + 1
        window = self.window
        if window is not None:
            means = None if window.means is None else window.means[:stop]
            window = Window(window.offsets[:stop], means, window.sizes[:stop])
        return Features(self.maps[:stop], self.names[:stop], self.strides[:stop], window)

    def mean(self, key: int | str) -> jax.Array:
        """The mean f32[B, 1, 1, C] of a map over the whole image, also where this is a window.

        Raises:
          ValueError: on a window, for a head without the class attribute `pools_image = True`.
        """
        index = self._index(key)
        if self.window is None:
            return jnp.mean(self.maps[index].astype(jnp.float32), (1, 2), keepdims=True)
        if self.window.means is None:
            raise ValueError(
                "A head that uses Features.mean needs the class attribute `pools_image = True`; "
                "without it the mean over the whole image is not computed for windows."
            )
        return self.window.means[index]

    def resize(self, values: jax.Array, source: int | str, target: int | str) -> jax.Array:
        """Resizes what was computed from one map to the positions of another, corners aligned.

        Args:
          values: floating [B, h, w, D] at the positions of the map `source`.
          source: index or name of a map.
          target: index or name of a map.

        Returns:
          f32[B, h', w', D] at the positions of the map `target`; on a window the same values as in
          the whole image.
        """
        source, target = self._index(source), self._index(target)
        size = self.maps[target].shape[1:3]
        if self.window is None:
            return resize_bilinear_align_corners(values, size)
        rows, columns = (self._window_taps(source, target, axis) for axis in range(2))
        return interpolate(values.astype(jnp.float32), rows, columns)

    def _window_taps(self, source: int, target: int, axis: int) -> Taps:
        """The window's share of the whole image's taps along an axis, for the window's own map."""
        window = self.window
        size, source_size = (self.maps[index].shape[1 + axis] for index in (target, source))
        whole = taps_align_corners(window.sizes[source][axis], window.sizes[target][axis])
        lower, upper, weight = (
            jax.lax.dynamic_slice(jnp.asarray(each), (window.offsets[target][axis],), (size,))
            for each in (whole.lower.astype(np.int32), whole.upper.astype(np.int32), whole.weight)
        )
        first = window.offsets[source][axis]
        return Taps(*(jnp.clip(x - first, 0, source_size - 1) for x in (lower, upper)), weight)

    def _index(self, key: int | str) -> int:
        if isinstance(key, str):
            if key not in self.names:
                raise KeyError(f"no feature map {key!r}; valid: {', '.join(self.names)}.")
            return self.names.index(key)
        if not -len(self.maps) <= key < len(self.maps):
            raise IndexError(f"no feature map {key}; there are {len(self.maps)}.")
        return key % len(self.maps)
