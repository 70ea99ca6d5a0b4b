"""Full supervision: every label of the pool from round 1 on, in the same rounds as SPL.

    python -m labor_jax.main --config configs/supervised.py

It has the source labels, the warm-up and each round's schedule too, so that labels are all that
tells it from SPL; rounds 2 and 3 find nothing left to ask. The paper's row: GTA5 → Cityscapes
66.7 mIoU (LabOR, Table 1, supervised).
"""

from configs import common


def get_config(pair: str = "street"):
    config = common.base("supervised", pair)
    config.acquisition.method = "all"
    return config
