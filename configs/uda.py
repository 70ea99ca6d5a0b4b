"""Any method of adaptation before the rounds: a baseline, or the start of active learning.

    python -m labor_jax.main --config uda:advent
    python -m labor_jax.main --config uda:dacs,camvid --config.data.root=DIR
    python -m labor_jax.main --config uda:advent --config.rounds=3 --config.acquisition.method=ppl

The argument is METHOD[,PAIR]; docs/adaptation.md lists the methods and what they reach. Several
methods are joined by "+". With rounds, LabOR's rounds follow the method.
"""

import labor_jax


def get_config(argument: str = ""):
    method, _, pair = argument.partition(",")
    return labor_jax.get_config(f"uda:{method}", pair or "street")
