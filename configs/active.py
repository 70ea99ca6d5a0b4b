"""Any acquisition method under RIPU's joint training, so that acquisition alone differs.

    python -m labor_jax.main --config active:entropy
    python -m labor_jax.main --config active:core_set,camvid --config.data.root=DIR

The argument is METHOD[,PAIR]; docs/acquisition.md lists the methods. A method that asks pixels or
superpixels asks 40 an image. --config.acquisition.points=N changes that, and .points=0 with
.fraction=F asks a share of the pixels. One that asks regions asks 2.2% of the pixels, spl at most
2.2%, and one that asks whole images 2.2% of the pool. With human_points the oracle picks a pixel of
each class, once. On street with --config.schedule=short entropy reaches 35.4 mIoU, random 41.9 and
ripu_pa 42.5 (means of three seeds).
"""

import labor_jax


def get_config(argument: str = ""):
    method, _, pair = argument.partition(",")
    return labor_jax.get_config(f"active:{method}", pair or "street")
