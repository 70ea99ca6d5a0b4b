"""BDD100K: its 10,000 images with semantic labels.

Yu et al.: BDD100K: A diverse driving dataset for heterogeneous multitask learning, CVPR 2020.
"""

from labor_jax.data.driving.cityscapes import ALL_TRAIN_IDS
from labor_jax.data.driving.dataset import DrivingDataset
from labor_jax.data.folders import FolderLayout

# Images without a label, upright images with the label of a landscape, and labels without an image:
# github.com/bdd100k/bdd100k/issues/103.
_KNOWN_DEFECTS = {
    "train": (
        "3d581db5-2564fb7e",
        "52e3fd10-c205dec2",
        "781756b0-61e0a182",
        "78ac84ba-07bd30c2",
        "fee92217-63b3f87f",
        "ff1e4d6d-f4d85cfd",
        "ff3d3536-04986e25",
        "ff3da814-c3463a43",
    ),
    "validation": (
        "80a9e37d-e4548ac1",
        "9342e334-33d167eb",
        "ff55861e-a06b953c",
        "ff7b98c7-3cb964ac",
    ),
}

BDD100K = DrivingDataset(
    name="bdd100k",
    title="BDD100K",
    download="bdd-data.berkeley.edu, packages 10K Images and (semantic) Segmentation",
    folder="BDD100K",
    archive_folder="bdd100k",
    splits={
        split: FolderLayout(
            f"images/10k/{folder}",
            f"labels/sem_seg/masks/{folder}",
            "*.jpg",
            known_defects=_KNOWN_DEFECTS[split],
        )
        for split, folder in (("train", "train"), ("validation", "val"))
    },
    counts={"train": 7_000, "validation": 1_000},
    train_ids={train_id: train_id for train_id in ALL_TRAIN_IDS},
)
"""Labels are PNGs of Cityscapes' train ids."""
