"""Splits and pairs read from folders of image and label files."""

from labor_jax.data.folders.layout import FolderLayout
from labor_jax.data.folders.pair import check_no_leak, read_pair
from labor_jax.data.folders.split import FolderSplit, check_verify, read_split

__all__ = [
    "FolderLayout",
    "FolderSplit",
    "check_no_leak",
    "check_verify",
    "read_pair",
    "read_split",
]
