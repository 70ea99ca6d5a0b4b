"""LabOR's warm-up alone: supervised on source, then adversarial on the outputs (AdaptSegNet).

    python -m labor_jax.main --config configs/warmup.py --workdir runs/warmup

Other runs can start from it: `--config.warm_start=runs/warmup`. The paper's row: GTA5 → Cityscapes
42.4 mIoU (LabOR, Table 1, AdaptSegNet).
"""

from configs import common


def get_config(pair: str = "street"):
    config = common.base("warmup", pair)
    config.rounds = 0
    return config
