"""RIPU without source data: a source-trained model, target images and their 2.2% of labels.

    python -m labor_jax.main --config configs/ripu_source_free.py
    python -m labor_jax.main --config configs/ripu_source_free.py --config.warm_start=runs/source

The model is trained on source first, as whoever hands it out would have done; from then on no
source image is read. The second line takes the model of a run of this config with
`--config.rounds=0`. A whole model of others, such as RIPU's published source model, is
`--config.model.pretrained=FILE --config.source.steps=0`. The paper's rows: GTAV -> Cityscapes 67.1
mIoU, SYNTHIA -> Cityscapes 68.7 (RIPU, CVPR 2022).
"""

from configs import active


def get_config(pair: str = "street"):
    config = active.get_config(f"ripu_ra,{pair}")
    config.method = "ripu_source_free"
    config.round.source_weight = 0.0
    config.round.local_consistency_weight = 0.0
    # Elsewhere the source model is trained as long as the joint training is before it asks.
    steps = config.joint.query_steps
    first = steps[0]
    config.source.steps = first
    config.source.learning_rate = config.joint.learning_rate
    config.joint.query_steps = tuple(step - first for step in steps)
    config.joint.steps -= first
    if pair in ("gtav", "synthia"):
        # RIPU's source model; its schedule would end at 31,250 steps, ours does at 20,000. The file
        # of its settings has regions of radius 9 and says that smaller ones might be better: ours
        # are the paper's of radius 1.
        config.source.update(steps=20_000, learning_rate=5e-4)
    else:
        config.joint.schedule_steps -= first
    if pair == "synthia":
        config.data.update(target_size=(512, 1024), evaluation_size=(512, 1024))
    return config
