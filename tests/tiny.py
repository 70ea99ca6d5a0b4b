"""Runs that take seconds: tiny street scenes, a network of two layers, a few steps."""

import labor_jax


def tiny_config(method="spl", pair="street", recipe="paper"):
    """Returns a method's config made tiny; arguments as for `labor_jax.get_config`."""
    config = labor_jax.get_config(method, pair, recipe=recipe)
    if pair == "street":
        config.data.update(image_size=(32, 64), source_count=8, pool_count=4, evaluation_count=4)
    else:
        size = (64, 64)
        config.data.update(source_size=size, target_size=size, evaluation_size=size)
    config.source_batch_size = config.target_batch_size = config.evaluation_batch_size = 2
    config.model.update(
        backbone="two_layers", width=4, output_stride=4, head="linear", pretrained=""
    )
    if config.supervised.steps != 0:  # None where a pair leaves them open
        config.supervised.steps = 4
    if config.warmup.steps != 0:
        config.warmup.steps = 3
    if config.retraining.steps:
        config.retraining.steps = 2
    config.terms.adversarial.width = config.terms.auxiliary_adversarial.width = 4
    for translation in (config.terms.cycle_translation, config.terms.phase_translation):
        translation.update(width=4, blocks=1, discriminator_width=4)
    config.terms.translated_adversarial.width = 4
    config.selector.steps = 3
    config.round.steps = 3
    if config.rounds:
        config.rounds = 2
        config.joint.update(steps=9, schedule_steps=12, query_steps=(3, 5))
    if method == "ripu_source_free":
        config.joint.update(steps=6, query_steps=(0, 3))
    config.acquisition.max_fraction = 0.05
    config.log_every = 2
    config.preview_images = 1
    return config
