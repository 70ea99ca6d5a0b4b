"""Terms of the training loss, one method a file; a config gives each a weight.

A config names them in its tables `config.PHASE.terms`. `register` adds a term of your own. A file
also registers the published method that its terms make up, which `uda:METHOD` names.
"""

from labor_jax.adaptation import (
    adversarial,
    class_mix,
    feature_distance,
    labels,
    local_consistency,
    masked_consistency,
    max_squares,
    mean_teacher,
    min_entropy,
    negative_learning,
    pixel_selector,
    two_levels,
)
from labor_jax.adaptation.registry import (
    METHODS,
    TERMS,
    build,
    build_all,
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
    "build",
    "build_all",
    "class_mix",
    "feature_distance",
    "labels",
    "local_consistency",
    "masked_consistency",
    "max_squares",
    "mean_teacher",
    "min_entropy",
    "negative_learning",
    "pixel_selector",
    "register",
    "register_method",
    "retrain",
    "settings",
    "two_levels",
]
