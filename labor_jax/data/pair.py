"""Reading a pair of domains by its name."""

from __future__ import annotations

from collections.abc import Collection

import ml_collections

from labor_jax.data import camvid, domains, folders, street, transforms
from labor_jax.data.base import ROLES, Pair


def load_pair(name: str, config: ml_collections.ConfigDict, roles: Collection[str] = ROLES) -> Pair:
    """Reads a pair and checks all there is to check before anything is trained.

    Args:
      name: one of `PAIRS`.
      config: the run's `config.data`. Every pair reads `source_size`, `target_size` and
        `evaluation_size` ((height, width) of the model's input; None for the images' own size),
        and `cache_bytes` (memory for images and labels of the three splits together, 0 for none).
        The other fields are those of the pair's loader.
      roles: which of `ROLES` to read; files of the others need not be there.

    Returns:
      The pair; splits of other roles are None.

    Raises:
      DataError: for anything wrong with the files.
      ValueError: for an unknown pair or role, or a config field that cannot be.
    """
    if name not in PAIRS:
        raise ValueError(f"unknown pair {name!r}; valid pairs: {', '.join(PAIRS)}")
    unknown = sorted(set(roles) - set(ROLES))
    if unknown:
        raise ValueError(f"unknown roles {', '.join(unknown)}; valid roles: {', '.join(ROLES)}")
    for field in ("source_size", "target_size", "evaluation_size"):
        transforms.check_size(config[field], f"data.{field}")
    if config.cache_bytes < 0:
        raise ValueError(f"data.cache_bytes must be 0 or more, got {config.cache_bytes}")
    return PAIRS[name](config, roles)


def _street(config: ml_collections.ConfigDict, roles: Collection[str]) -> Pair:
    """Draws the pair `street`: scenes of a simulator, scenes of a camera.

    Args:
      config: `image_size` ((height, width) of the scenes), `source_count`, `pool_count`,
        `evaluation_count` (numbers of scenes), `seed` (another one gives other scenes) and
        `cache_bytes`.
      roles: see `load_pair`.
    """
    counts = (config.source_count, config.pool_count, config.evaluation_count)
    # Scenes of one seed and domain are the same, so pool and evaluation differ in their seeds.
    splits = {
        role: street.StreetScenes(
            domain,
            count,
            size=tuple(config.image_size),
            seed=seed,
            cache_bytes=config.cache_bytes * count // max(1, sum(counts)),
        )
        if role in roles
        else None
        for role, domain, count, seed in zip(
            ROLES,
            ("simulator", "camera", "camera"),
            counts,
            (2 * config.seed, 2 * config.seed, 2 * config.seed + 1),
            strict=True,
        )
    }
    return Pair("street", street.CLASSES, street.PALETTE, **splits)


PAIRS = {
    "street": _street,
    "camvid": camvid.load,
    "gtav": domains.load_gtav,
    "synthia": domains.load_synthia,
    "folders": folders.load,
}
"""What reads each pair, given `config.data` and the roles."""
