"""A run small enough to be made in seconds: tiny street scenes, a tiny network, a few steps."""

from configs import ppl, random, source_only, spl, supervised, warmup

_METHODS = {
    "ppl": ppl,
    "random": random,
    "source_only": source_only,
    "spl": spl,
    "supervised": supervised,
    "warmup": warmup,
}


def tiny_config(method="spl", pair="street"):
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
    config.source.steps = 4
    if config.warmup.steps:
        config.warmup.steps = 3
    config.warmup.discriminator_width = 4
    config.selector.steps = 3
    config.round.steps = 3
    if config.rounds:
        config.rounds = 2
    config.acquisition.max_fraction = 0.05
    config.log_every = 2
    config.checkpoint_every = 2
    config.preview_images = 1
    return config
