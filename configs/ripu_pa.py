"""RIPU, pixel-based annotation: 40 single pixels an image of largest impurity x uncertainty.

    python -m labor_jax.main --config configs/ripu_pa.py

The paper's row: GTAV -> Cityscapes 65.5 mIoU (RIPU, CVPR 2022).
"""

from configs import active


def get_config(pair: str = "street"):
    return active.get_config(f"ripu_pa,{pair}")
