"""LabOR's warm-up alone: supervised on source, then adversarial on the outputs.

    python -m labor_jax.main --config warmup --workdir runs/warmup

Other runs can start from it with --config.warm_start=runs/warmup. On street 21.1 mIoU (mean of
three seeds). The paper's row: GTA5 → Cityscapes 42.4 mIoU (LabOR, Table 1, AdaptSegNet).
"""

import labor_jax


def get_config(pair: str = "street"):
    return labor_jax.get_config("warmup", pair)
