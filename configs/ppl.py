"""LabOR with point-based labelling (PPL): asks SelectPt's representative points.

    python -m labor_jax.main --config configs/ppl.py
    python -m labor_jax.main --config configs/ppl.py:camvid --config.data.root=DIR

The paper's row: GTA5 → Cityscapes 63.5 mIoU with 40 points an image (LabOR, Table 1).
"""

from configs import common


def get_config(pair: str = "street"):
    config = common.base("ppl", pair)
    config.acquisition.method = "ppl"
    return config
