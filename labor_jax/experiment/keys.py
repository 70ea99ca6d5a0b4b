"""Random keys of a seed and a name alone, so that a resumed run draws what it would have drawn."""

import zlib

import jax


def named_key(seed: int, name: str) -> jax.Array:
    """A JAX random key of a run's seed and a name, such as that of a phase."""
    return jax.random.fold_in(jax.random.key(seed), named_seed(0, name))


def named_seed(seed: int, name: str) -> int:
    """An integer below 2^31 for randomness on the host, of a run's seed and a name."""
    return zlib.crc32(f"{seed}/{name}".encode()) & 0x7FFFFFFF
