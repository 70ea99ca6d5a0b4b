"""RIPU with pixels: 40 pixels an image of largest impurity x uncertainty.

    python -m labor_jax.main --config ripu_pa

On street with --config.schedule=short 42.5 mIoU (mean of three seeds). The paper's row: GTAV →
Cityscapes 65.5 mIoU (RIPU, CVPR 2022).
"""

import labor_jax


def get_config(pair: str = "street"):
    return labor_jax.get_config("ripu_pa", pair)
