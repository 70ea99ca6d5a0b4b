"""RIPU with regions: 3x3 regions of largest impurity x uncertainty, 2.2% of the pixels.

    python -m labor_jax.main --config ripu_ra
    python -m labor_jax.main --config ripu_ra --config.acquisition.fraction=0.05 --workdir runs/ra_5

On street with --config.schedule=short the first has 41.5 mIoU (mean of three seeds). The paper's
rows: GTAV → Cityscapes 69.6 mIoU at 2.2%, and 71.2 at 5% with DeepLab-v3+ (RIPU, CVPR 2022).
"""

import labor_jax


def get_config(pair: str = "street"):
    return labor_jax.get_config("ripu_ra", pair)
