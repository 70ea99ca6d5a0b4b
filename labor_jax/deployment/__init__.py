"""Exports a run's model to formats that other programs run, with a model card beside it."""

from labor_jax.deployment.errors import ExportError
from labor_jax.deployment.exporting import Exported, export
from labor_jax.deployment.formats import FORMATS

__all__ = ["FORMATS", "ExportError", "Exported", "export"]
