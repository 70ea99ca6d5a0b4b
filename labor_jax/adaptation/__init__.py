"""Unsupervised domain adaptation: the warm-up methods and LabOR's pixel selector."""
