"""Toy street scenes, generated from a seed: a simulator's (source) and a camera's (target)."""

from __future__ import annotations

from collections.abc import Collection

from ml_collections import ConfigDict

from labor_jax.data import base, street
from labor_jax.data.registry import register_pair


def defaults(config: ConfigDict) -> None:
    """A small network from random weights, for CPUs."""
    data = config.data
    data.seed = 0  # of the scenes; the run's seed doesn't change them
    data.image_size = (64, 128)  # (height, width) of the scenes
    data.source_count = 256  # numbers of scenes
    data.pool_count = 128  # likewise
    data.evaluation_count = 64  # likewise
    data.augment.update(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.05)
    config.evaluation_batch_size = 16
    config.model.update(width=16, stem="small", output_stride=8, head_channels=32, dropout=0.0)
    config.optimizer.update(name="adamw", weight_decay=1e-2, head_multiplier=1.0, clip_norm=1.0)
    config.supervised.update(steps=500, learning_rate=1e-2)
    config.warmup.update(steps=100, learning_rate=2e-3)
    config.retraining.learning_rate = 2e-3
    config.terms.adversarial.width = config.terms.auxiliary_adversarial.width = 16
    config.selector.update(steps=30, learning_rate=5e-4)
    config.selector.terms.discrepancy = 0.05
    config.round.update(steps=500, learning_rate=1e-2)
    config.joint.update(
        steps=2000,
        schedule_steps=2100,
        query_steps=(1000, 1100, 1200, 1300, 1400),
        learning_rate=0.3,
    )


def short(config: ConfigDict) -> None:
    """Half of the steps in each round, at half the rate; half of joint training."""
    config.round.update(steps=250, learning_rate=5e-3)
    config.joint.update(steps=1000, schedule_steps=1050, query_steps=(500, 550, 600, 650, 700))


def joint_defaults(config: ConfigDict) -> None:
    """From random weights the head needs no higher rate than the backbone; the rate is high."""
    config.optimizer.update(head_multiplier=1.0, clip_norm=1.0)
    config.selector.learning_rate = 0.03


def _ripu_pa(config: ConfigDict) -> None:
    config.acquisition.radius = 2  # RIPU's 32 at 1024 rows, scaled to 64


def _superpixels(config: ConfigDict) -> None:
    config.acquisition.superpixel_size = 8  # 32 would be eight superpixels an image


def _mic(config: ConfigDict) -> None:
    # The features of random weights mean nothing.
    config.supervised.terms.feature_distance = config.warmup.terms.feature_distance = 0.0


@register_pair(
    "street",
    defaults=defaults,
    joint_defaults=joint_defaults,
    method_defaults={
        "ripu_pa": _ripu_pa,
        "ripu_pa_code": _ripu_pa,
        "superpixels": _superpixels,
        "multi_hot": _superpixels,
        "mic": _mic,
    },
    short=short,
)
def load(config: ConfigDict, roles: Collection[str] = base.ROLES) -> base.Pair:
    """Draws the pair `street`: embedded scenes, a simulator's and a camera's.

    Args:
      config: `image_size` ((height, width) of the scenes), `source_count`, `pool_count`,
        `evaluation_count` (numbers of scenes), `seed` (another one gives other scenes) and
        `cache_bytes`.
      roles: which splits to draw; the others are None.

    Raises:
      ValueError: invalid field, see `street.StreetScenes`.
    """
    counts = (config.source_count, config.pool_count, config.evaluation_count)
    # Pool and evaluation share a domain, in which equal seeds give equal scenes: seeds differ.
    seeds = (2 * config.seed, 2 * config.seed, 2 * config.seed + 1)
    domains = ("simulator", "camera", "camera")
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
        for role, domain, count, seed in zip(base.ROLES, domains, counts, seeds, strict=True)
    }
    return base.Pair("street", street.CLASSES, street.PALETTE, **splits)
