"""Training on source labels alone: where adaptation starts.

    python -m labor_jax.main --config source_only

On street 20.5 mIoU (mean of three seeds). The paper's row: GTA5 → Cityscapes 36.6 mIoU (LabOR,
Table 1, no adaptation).
"""

import labor_jax


def get_config(pair: str = "street"):
    return labor_jax.get_config("source_only", pair)
