"""GTAV: frames of a video game.

Richter et al.: Playing for data: ground truth from computer games, ECCV 2016.
"""

from labor_jax.data.driving import cityscapes
from labor_jax.data.driving.dataset import DrivingDataset
from labor_jax.data.folders import FolderLayout

GTAV = DrivingDataset(
    name="gtav",
    title="GTAV",
    download="download.visinf.tu-darmstadt.de/data/from_games, packages 01_images.zip to "
    "10_images.zip and 01_labels.zip to 10_labels.zip",
    folder="GTAV",
    archive_folder="",
    splits={
        "train": FolderLayout(
            "images",
            "labels",
            "*.png",
            # Other readers of the set leave these out as invalid; here only if the sizes differ.
            known_defects=("15188", "17705"),
        )
    },
    counts={"train": 24_966},
    train_ids=cityscapes.TRAIN_IDS,
)
"""Labels are palette PNGs whose indices are Cityscapes' label ids."""
