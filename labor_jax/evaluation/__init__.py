"""Confusion matrix and IoU, evaluation of a model on a split, and a run's report."""
