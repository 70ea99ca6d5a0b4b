"""LabOR with point-based labelling (PPL): asks SelectPt's representative points.

    python -m labor_jax.main --config ppl
    python -m labor_jax.main --config ppl:camvid --config.data.root=DIR

On street with --config.schedule=short 43.6 mIoU with 47 points an image (mean of three seeds). The
paper's row: GTA5 → Cityscapes 63.5 mIoU with 40 points an image (LabOR, Table 1).
"""

import labor_jax


def get_config(pair: str = "street"):
    return labor_jax.get_config("ppl", pair)
