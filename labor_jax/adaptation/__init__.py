"""Terms of the training loss, one method a file; a config gives each a weight.

A config names them in its tables `config.PHASE.terms`. `register` adds a term of your own. A file
also registers the published method that its terms make up, which `uda:METHOD` names.
"""

from labor_jax.adaptation import (
    adversarial,
    bdl,
    cbst,
    crst,
    fda,
    iast,
    labels,
    local_consistency,
    ltir,
    max_squares,
    median_labels,
    min_entropy,
    negative_learning,
    pceda,
    pixel_selector,
    pseudo_labelling,
    tpld,
    translation,
    two_levels,
)
from labor_jax.adaptation.registry import (
    METHODS,
    TERMS,
    build,
    register,
    register_method,
    retrain,
    settings,
)
from labor_jax.training.terms import Player, Setup, Term

__all__ = [
    "METHODS",
    "TERMS",
    "Player",
    "Setup",
    "Term",
    "adversarial",
    "bdl",
    "build",
    "cbst",
    "crst",
    "fda",
    "iast",
    "labels",
    "local_consistency",
    "ltir",
    "max_squares",
    "median_labels",
    "min_entropy",
    "negative_learning",
    "pceda",
    "pixel_selector",
    "pseudo_labelling",
    "register",
    "register_method",
    "retrain",
    "settings",
    "tpld",
    "translation",
    "two_levels",
]
