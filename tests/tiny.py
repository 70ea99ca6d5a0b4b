"""A run small enough to be made in seconds: tiny street scenes, a tiny network, a few steps."""

from configs import (
    active,
    ppl,
    random,
    ripu_pa,
    ripu_ra,
    ripu_source_free,
    source_only,
    spl,
    supervised,
    warmup,
)

_METHODS = {
    "ppl": ppl,
    "random": random,
    "ripu_pa": ripu_pa,
    "ripu_ra": ripu_ra,
    "ripu_source_free": ripu_source_free,
    "source_only": source_only,
    "spl": spl,
    "supervised": supervised,
    "warmup": warmup,
}


def tiny_config(method="spl", pair="street"):
    """A method's config made tiny; "active:METHOD" is that of configs/active.py."""
    name, _, acquisition = method.partition(":")
    if name == "active":
        config = active.get_config(f"{acquisition},{pair}")
    else:
        config = _METHODS[method].get_config(pair)
    if pair == "street":
        config.data.update(image_size=(32, 64), source_count=8, pool_count=4, evaluation_count=4)
    else:
        size = (64, 64)
        config.data.update(source_size=size, target_size=size, evaluation_size=size)
    config.source_batch_size = config.target_batch_size = config.evaluation_batch_size = 2
    config.model.update(
        backbone="resnet18", width=4, stem="small", head="deeplab_v2", pretrained=""
    )
    if config.source.steps:
        config.source.steps = 4
    if config.warmup.steps:
        config.warmup.steps = 3
    config.warmup.discriminator_width = 4
    config.selector.steps = 3
    config.round.steps = 3
    if config.rounds:
        config.rounds = 2
        config.joint.update(steps=9, schedule_steps=12, query_steps=(3, 5))
    if method == "ripu_source_free":
        config.joint.update(steps=6, query_steps=(0, 3))
    config.acquisition.max_fraction = 0.05
    config.log_every = 2
    config.checkpoint_every = 2
    config.preview_images = 1
    return config
