"""Supervised on source alone: where adaptation starts.

    python -m labor_jax.main --config configs/source_only.py

The paper's row: GTA5 → Cityscapes 36.6 mIoU (LabOR, Table 1, no adaptation).
"""

from configs import common


def get_config(pair: str = "street"):
    config = common.base("source_only", pair)
    config.warmup.steps = 0
    config.rounds = 0
    return config
