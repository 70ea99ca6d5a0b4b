"""Full supervision: every pixel of the pool is labelled, and as many steps taken as in all rounds.

    python -m labor_jax.main --config configs/supervised.py

It has the source labels and the warm-up too, so that labels are all that tells it from SPL. The
paper's row: GTA5 → Cityscapes 66.7 mIoU (LabOR, Table 1, supervised).
"""

from configs import common


def get_config(pair: str = "street"):
    config = common.base("supervised", pair)
    config.acquisition.method = "all"
    config.round.steps *= config.rounds
    config.rounds = 1
    return config
