"""Terms of the training loss, one method a file; a config gives each a weight.

A config names them in its tables `config.PHASE.terms`. `register` adds a term of your own. A file
also registers the published method that its terms make up, which `uda:METHOD` names.
"""

from labor_jax.adaptation import (
    advent,
    adversarial,
    clan,
    labels,
    local_consistency,
    max_squares,
    min_entropy,
    negative_learning,
    patch_adapt,
    pixel_selector,
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
    "advent",
    "adversarial",
    "build",
    "clan",
    "labels",
    "local_consistency",
    "max_squares",
    "min_entropy",
    "negative_learning",
    "patch_adapt",
    "pixel_selector",
    "register",
    "register_method",
    "retrain",
    "settings",
    "two_levels",
]
