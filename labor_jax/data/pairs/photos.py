"""Your own photos without a source: no simulator and no labels, a model that learns from answers.

Files and settings are those of `folders`, but for the source.
"""

from __future__ import annotations

from collections.abc import Collection

from ml_collections import ConfigDict

from labor_jax.data import base
from labor_jax.data.pairs import folders
from labor_jax.data.registry import register_pair


@register_pair("photos", defaults=folders.defaults, chosen_from_data=True, has_source=False)
def load(config: ConfigDict, roles: Collection[str] = base.ROLES) -> base.Pair:
    """Reads the pair `photos`: your own images to be asked, and images to measure on, if any.

    Args:
      config: see `folders.load`, like the following; its `source` is not read.
      roles: which splits to read; the others, and the source, are None.

    Raises:
      DataError, ValueError: see `folders.load`.
    """
    return folders.read("photos", config, roles, own=("pool", "evaluation"))
