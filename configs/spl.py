"""LabOR with segment-based labelling (SPL): asks the inconsistency mask, up to a cap.

    python -m labor_jax.main --config spl
    python -m labor_jax.main --config spl:camvid --config.data.root=DIR

On street with --config.schedule=short 45.8 mIoU with 5% of the pixels (mean of three seeds). The
paper's row: GTA5 → Cityscapes 66.6 mIoU with 2.2% of the pixels (LabOR, Table 1).
"""

import labor_jax


def get_config(pair: str = "street"):
    return labor_jax.get_config("spl", pair)
