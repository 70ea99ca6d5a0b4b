"""Published data sets of driving scenes, read from the folders that their archives unpack to."""

from labor_jax.data.driving.acdc import ACDC
from labor_jax.data.driving.bdd100k import BDD100K
from labor_jax.data.driving.cityscapes import CITYSCAPES
from labor_jax.data.driving.dataset import DrivingDataset
from labor_jax.data.driving.gtav import GTAV
from labor_jax.data.driving.synthia import SYNTHIA

DATASETS = {dataset.name: dataset for dataset in (GTAV, SYNTHIA, CITYSCAPES, ACDC, BDD100K)}
"""All data sets by name."""

__all__ = ["ACDC", "BDD100K", "CITYSCAPES", "DATASETS", "GTAV", "SYNTHIA", "DrivingDataset"]
