"""The experiment as a list of phases: running it, resuming it, and what it writes."""

from labor_jax.experiment.run import run
from labor_jax.experiment.session import RoundWaits

__all__ = ["RoundWaits", "run"]
