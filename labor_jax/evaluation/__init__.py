"""Predictions on a split, their confusion matrix and IoU."""
