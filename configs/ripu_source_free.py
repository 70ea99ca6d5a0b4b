"""RIPU without source data: a source-trained model, target images, 2.2% of their labels.

    python -m labor_jax.main --config ripu_source_free
    python -m labor_jax.main --config ripu_source_free --config.warm_start=runs/source

The first command trains the source model itself; after that it reads no source image. The second
starts from the source model of another run of this config, which had --config.rounds=0. To start
from a published model, use --config.model.pretrained=FILE --config.supervised.steps=0. The paper's
rows: GTAV → Cityscapes 67.1 mIoU, SYNTHIA → Cityscapes 68.7 (RIPU, CVPR 2022).
"""

import labor_jax


def get_config(pair: str = "street"):
    return labor_jax.get_config("ripu_source_free", pair)
