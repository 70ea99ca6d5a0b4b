"""RIPU, region-based annotation: 3x3 regions of largest impurity x uncertainty, 2.2% of the pixels.

    python -m labor_jax.main --config configs/ripu_ra.py
    python -m labor_jax.main --config configs/ripu_ra.py --config.acquisition.fraction=0.05

The paper's rows (RIPU, CVPR 2022): GTAV -> Cityscapes 69.6 mIoU at 2.2%, 71.2 at 5% with
DeepLab-v3+.
"""

from configs import active


def get_config(pair: str = "street"):
    return active.get_config(f"ripu_ra,{pair}")
