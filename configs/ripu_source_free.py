"""RIPU without source data: a source-trained model, target images and their 2.2% of labels.

    python -m labor_jax.main --config configs/ripu_source_free.py
    python -m labor_jax.main --config configs/ripu_source_free.py --config.warm_start=runs/source

The model is trained on source first, as whoever hands it out would have done; from then on no
source image is read. The second line takes the model of a run of this config with
`--config.rounds=0`. The paper's row: GTAV -> Cityscapes 67.1 mIoU (RIPU, CVPR 2022).
"""

from configs import active


def get_config(pair: str = "street"):
    config = active.get_config(f"ripu_ra,{pair}")
    config.method = "ripu_source_free"
    config.round.source_weight = 0.0
    config.round.local_consistency_weight = 0.0
    # The source model is ours to choose: trained as long as the joint training is before it asks.
    steps = config.joint.query_steps
    first = steps[0]
    config.source.steps = first
    config.source.learning_rate = config.joint.learning_rate
    config.joint.query_steps = tuple(step - first for step in steps)
    config.joint.steps -= first
    if pair not in ("gtav", "synthia"):  # those keep the paper's, of which training sees a part
        config.joint.schedule_steps -= first
    return config
