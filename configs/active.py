"""Any acquisition method under RIPU's joint training, so that acquisition alone differs.

    python -m labor_jax.main --config configs/active.py:entropy
    python -m labor_jax.main --config configs/active.py:core_set,camvid --config.data.root=DIR

The argument is METHOD[,PAIR]; README lists the methods. Those of single pixels ask 40 an image
(`--config.acquisition.points=N`, or a share of the pixels with `.points=0` and `.fraction=F`),
those of regions 2.2% of the pixels, `spl` at most that; `human_points` asks once.
"""

from configs import common
from labor_jax.acquisition import strategies


def get_config(argument: str = ""):
    method, _, pair = argument.partition(",")
    if method in common.PAIRS:
        raise ValueError(f"{argument!r} is a data pair; the argument is METHOD,PAIR.")
    config = common.ripu(method or "random", pair or "street")
    acquisition = config.acquisition
    if strategies.asks_regions(acquisition.method):
        acquisition.fraction = 0.022
    elif acquisition.method == "spl":
        acquisition.max_fraction = 0.022
    elif acquisition.method == "human_points":
        config.rounds = 1  # as in WDA; in further rounds it would be one more point of each class
    elif acquisition.method not in ("ppl", "all"):
        acquisition.points = 40
    if acquisition.method == "ripu_pa":
        # RIPU's 32 at the 1024 rows of Cityscapes; as large a part of smaller images.
        acquisition.radius = {"street": 2, "camvid": 11}.get(config.pair, 32)
    return config
