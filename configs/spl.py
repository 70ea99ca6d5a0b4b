"""LabOR with segment-based labelling (SPL): asks the whole inconsistency mask, under a cap.

    python -m labor_jax.main --config configs/spl.py
    python -m labor_jax.main --config configs/spl.py:camvid --config.data.root=DIR

The paper's row: GTA5 → Cityscapes 66.6 mIoU with 2.2% of the pixels (LabOR, Table 1).
"""

from configs import common


def get_config(pair: str = "street"):
    config = common.base("spl", pair)
    config.acquisition.method = "spl"
    if pair not in ("gtav", "synthia"):  # the paper asks the whole mask
        config.acquisition.max_fraction = 0.05
    return config
