"""Predicts folders of images and videos: what to read, what to write, what is written already."""
