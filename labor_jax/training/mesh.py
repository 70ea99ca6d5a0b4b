"""The device mesh and the one way a step is compiled.

A step is a pure function `(state, batch) -> (state, metrics)` that knows one thing about devices:
the axis name `"batch"`, over which it takes its means. `data_parallel` compiles it once for all
devices of all processes; the same function also runs under `jax.pmap(step, axis_name="batch")`.
"""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from labor_jax.data import ProcessShare

BATCH_AXIS = "batch"

logger = logging.getLogger(__name__)


def device_mesh(devices: list[jax.Device] | None = None) -> Mesh:
    """A one-dimensional mesh named `"batch"` over `devices` (default: all of all processes)."""
    return Mesh(np.asarray(devices if devices is not None else jax.devices()), (BATCH_AXIS,))


def devices_for(
    batch_sizes: Mapping[str, int], devices: Sequence[jax.Device] | None = None
) -> list[jax.Device]:
    """The devices that batches of these sizes divide over: all of them, or as many as possible.

    A laptop's batch of 4 then also runs on a host of 8 devices, on 4 of them, and says so. Over
    several processes every device must take part, so there the sizes must fit.

    Args:
      batch_sizes: images of all devices together, by the config field that sets them.
      devices: those to choose from; None for all of all processes.

    Raises:
      ValueError: no device; or several processes, and a size that is not a multiple of the number
        of devices.
    """
    devices = jax.devices() if devices is None else list(devices)
    if not devices:
        raise ValueError("devices is empty; name at least one of jax.devices().")
    common = math.gcd(*batch_sizes.values())
    listed = " and ".join(f"config.{field} = {size}" for field, size in batch_sizes.items())
    if jax.process_count() > 1 and common % len(devices):
        raise ValueError(
            f"The batches of {listed} do not divide over the {len(devices)} devices of all "
            "processes; make their sizes multiples of that."
        )
    used = max(n for n in range(1, len(devices) + 1) if common % n == 0)
    if used < len(devices):
        logger.warning(
            "Using %d of %d devices: the batches of %s divide over no more.",
            used,
            len(devices),
            listed,
        )
    return devices[:used]


def data_parallel(
    step: Callable[..., Any], mesh: Mesh, *, batched_arguments: Iterable[int], donate: bool = False
) -> Callable[..., Any]:
    """Compiles `step(state, batch)` so that the batch is split over the mesh and the state copied.

    Args:
      step: a function of positional arguments; it returns a pair whose first part is replicated
        (the next state, or None) and whose second part is replicated too (metrics).
      mesh: from `device_mesh`.
      batched_arguments: positions of the arguments whose leaves have a leading batch dimension.
      donate: whether the buffers of argument 0 (the state) may be reused for the result.

    Returns:
      The compiled function.
    """
    return _compile(step, mesh, batched_arguments, (PartitionSpec(), PartitionSpec()), donate)


def data_parallel_map(
    function: Callable[..., Any], mesh: Mesh, *, batched_arguments: Iterable[int]
) -> Callable[..., Any]:
    """Like `data_parallel`, for functions whose results keep the leading batch dimension."""
    return _compile(function, mesh, batched_arguments, PartitionSpec(BATCH_AXIS), donate=False)


def _compile(function, mesh, batched_arguments, out_specs, donate):
    batched = frozenset(batched_arguments)

    def call(*arguments):
        in_specs = tuple(
            PartitionSpec(BATCH_AXIS) if i in batched else PartitionSpec()
            for i in range(len(arguments))
        )
        # Without the check, gradients and collectives mean exactly what they mean under pmap.
        sharded = jax.shard_map(
            function, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False
        )
        return sharded(*arguments)

    return jax.jit(call, donate_argnums=(0,) if donate else ())


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Puts a copy of every leaf on every device of the mesh."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def process_share(mesh: Mesh) -> ProcessShare:
    """Which share of a batch this process reads, among the processes of the mesh."""
    spanned = sorted({device.process_index for device in mesh.devices.flat})
    return ProcessShare(spanned.index(jax.process_index()), len(spanned))


def local_mesh(mesh: Mesh) -> Mesh:
    """The devices of a mesh that belong to this process, as a mesh of their own."""
    return mesh if jax.process_count() == 1 else device_mesh(list(mesh.local_devices))


def local_copy(tree: Any) -> Any:
    """Replicated arrays as arrays that this process can use without the others."""
    return tree if jax.process_count() == 1 else jax.device_get(tree)


def local_rows(tree: Any) -> Any:
    """This process's rows of arrays that are split over the mesh, on the host."""

    def rows(array: jax.Array) -> np.ndarray:
        shards = sorted(array.addressable_shards, key=lambda shard: shard.index[0].start or 0)
        return np.concatenate([shard.data for shard in shards])

    return jax.device_get(tree) if jax.process_count() == 1 else jax.tree.map(rows, tree)


def shard_batch(batch: Any, mesh: Mesh) -> Any:
    """Splits host arrays along their first dimension over the mesh.

    Raises:
      ValueError: the batch does not divide evenly over this process's devices.
    """
    sharding = NamedSharding(mesh, PartitionSpec(BATCH_AXIS))
    local_devices = len(mesh.local_devices)

    def put(array):
        if array.shape[0] % local_devices:
            raise ValueError(
                f"A batch of {array.shape[0]} images does not divide over {local_devices} devices; "
                "choose a batch size that is a multiple of the number of devices."
            )
        return jax.make_array_from_process_local_data(sharding, np.asarray(array))

    return jax.tree.map(put, batch)


def prefetch_to_devices(batches: Iterable[Any], mesh: Mesh, *, depth: int = 2) -> Iterator[Any]:
    """Copies `depth` batches ahead, so that reading and copying overlap the device's work."""
    waiting = []
    for batch in batches:
        waiting.append(shard_batch(batch, mesh))
        if len(waiting) >= depth:
            yield waiting.pop(0)
    yield from waiting
