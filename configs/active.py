"""Any acquisition method under RIPU's joint training, so that acquisition alone differs.

    python -m labor_jax.main --config configs/active.py:entropy
    python -m labor_jax.main --config configs/active.py:core_set,camvid --config.data.root=DIR

The argument is METHOD[,PAIR]; README lists the methods. Those of single pixels ask 40 an image
(`--config.acquisition.points=N`; a share of the pixels with `.points=0` and `.fraction=F`),
those of regions 2.2% of the pixels, `spl` at most that.
"""

from configs import common

REGIONS = ("impurity", "random_regions", "ripu_ra", "uncertainty")


def get_config(argument: str = ""):
    method, pair = common.method_and_pair(argument, "random")
    config = common.ripu(method, pair)
    if method in REGIONS:
        config.acquisition.fraction = 0.022
    elif method == "spl":
        config.acquisition.max_fraction = 0.022
    else:
        config.acquisition.points = 40
    if method == "ripu_pa":
        config.acquisition.radius = common.point_radius(pair)
    return config
