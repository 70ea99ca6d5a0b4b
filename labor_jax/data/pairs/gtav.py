"""GTAV (source) to Cityscapes, ACDC or BDD100K (target), 19 classes, with the papers' settings."""

from __future__ import annotations

from collections.abc import Collection

from ml_collections import ConfigDict

from labor_jax.data import base
from labor_jax.data.driving import pair as driving_pair
from labor_jax.data.driving.cityscapes import ALL_TRAIN_IDS
from labor_jax.data.driving.gtav import GTAV
from labor_jax.data.registry import register_pair


def defaults(config: ConfigDict) -> None:
    """DeepLab-v2 on ResNet-101, batches of 2 and 2, as in the papers.

    `model.pretrained` has to name torchvision's ResNet-101 file. The warm-up has ADVENT's 120,000
    steps of batch size 1 as 60,000 of batch size 2, the other phases have a share of that, and
    sizes are RIPU's. No images are cached: a whole epoch fits into no memory.
    """
    data = config.data
    driving_pair.set_data_fields(data)
    data.update(source_size=(720, 1280), target_size=(640, 1280), evaluation_size=(640, 1280))
    data.cache_bytes = 0
    data.augment.flip = False
    config.source_batch_size = config.target_batch_size = config.evaluation_batch_size = 2
    config.evaluation_flip = True  # as RIPU tests
    config.log_every, config.checkpoint_every = 100, 2000
    config.model.update(backbone="resnet101", head="deeplab_v2", batch_norm="frozen")
    config.supervised.steps = 20_000
    config.warmup.steps = 60_000
    # AdaptSegNet's two levels, as in the published row.
    config.supervised.terms.auxiliary_source_labels = 0.1
    config.warmup.terms.update(auxiliary_source_labels=0.1, auxiliary_adversarial=2e-4)
    config.selector.steps = 2_000
    config.round.steps = 20_000


def joint_defaults(config: ConfigDict) -> None:
    """RIPU's sizes and sampling."""
    # RIPU's 40 points refer to the network's input; label maps have 2.56 times the pixels.
    config.acquisition.reference_size = (640, 1280)
    config.data.source_sampling = "balanced"
    config.data.source_size = (720, 1280)


def labor(config: ConfigDict) -> None:
    """IAST's public settings for what LabOR's text leaves open, and its reviews' reading of it.

    The rows that LabOR compares with are those of IAST (Mei et al., ECCV 2020) to the digit, so its
    code is the best guess. Numbers are of its files for GTAV on GPUs of 16 GB (batch size 2), where
    an epoch has 24,941 source images and its learning rates are the head's. Ours differs in this:
    the rate falls as a polynomial, not as a cosine; brightness and contrast change in each image,
    not in three of ten; batch norm is frozen from the start; rounds, of 3e-5, 2.5e-5 and 2e-5
    there, have one rate; and both domains have one range of scales. So a crop shows 341 to 950 rows
    of an image, where theirs shows up to 1000 of a target image.
    """
    if config.protocol != "staged":  # joint training is RIPU's
        return
    data = config.data
    # Crops of 512x1024, in which an image of its own size is scaled so that they show 341 to 950 of
    # its rows: IAST's range for the source.
    data.update(source_size=None, target_size=None)
    data.augment.update(
        flip=True, brightness=0.2, contrast=0.2, crop=(512, 1024), scale=(512 / 950, 512 / 341)
    )
    # Averaged over 1024x512, 1280x640, 1536x768, 1800x900 and 2048x1024.
    data.evaluation_size = (512, 1024)
    config.evaluation_scales = (1.0, 1.25, 1.5, 1800 / 1024, 2.0)
    config.evaluation_flip = False
    config.optimizer.update(name="adam", weight_decay=5e-4, head_multiplier=10.0)
    config.supervised.update(steps=100_000, learning_rate=1e-5)  # 8 epochs, head 1e-4
    config.round.update(steps=25_000, learning_rate=2.5e-6)  # 2 epochs, head 2.5e-5
    config.selector.learning_rate = 2.5e-6  # ours: that of the rounds
    # By two reviews of LabOR, the selector's pseudo labels have IAST's thresholds.
    config.terms.self_training.thresholds = "instance_adaptive"
    # The warm-up is a least-squares GAN on one level, of weight 0.05 and rate 2e-5.
    config.supervised.terms.auxiliary_source_labels = 0.0
    config.warmup.terms.update(
        adversarial=0.05, auxiliary_source_labels=0.0, auxiliary_adversarial=0.0
    )
    config.terms.adversarial.update(objective="least_squares", learning_rate=2e-5)
    if config.recipe != "today":  # which leaves the adversarial term out
        config.warmup.update(steps=50_000, learning_rate=2e-6)  # 4 epochs, head 2e-5
        # By the same reviews, the term stays on in the rounds.
        config.round.terms.adversarial = config.warmup.terms.adversarial


def spl(config: ConfigDict) -> None:
    """LabOR asks the whole inconsistency mask, without a cap."""
    labor(config)
    if config.protocol == "staged":  # under "joint", spl has the budget of the other methods
        config.acquisition.max_fraction = 0.0


def ripu_source_free(config: ConfigDict) -> None:
    """RIPU's source model and schedule.

    RIPU's schedule of the source model would end at 31,250 steps, ours does at 20,000. Its file of
    settings has regions of radius 9 and says that smaller ones might be better: ours are the
    paper's, of radius 1.
    """
    config.supervised.update(steps=20_000, learning_rate=5e-4)
    config.joint.schedule_steps = 62_500  # RIPU's own, although no source steps come first


@register_pair(
    "gtav",
    defaults=defaults,
    joint_defaults=joint_defaults,
    method_defaults={
        "spl": spl,
        **{name: labor for name in ("ppl", "random", "supervised", "warmup")},
        "ripu_source_free": ripu_source_free,
    },
)
def load(config: ConfigDict, roles: Collection[str] = base.ROLES) -> base.Pair:
    """Reads the pair `gtav`: GTAV to Cityscapes, ACDC or BDD100K, 19 classes.

    Args:
      config: see `driving.pair.read_pair`.
      roles: which splits to read; the others are None.

    Raises:
      DataError, ValueError: see `driving.pair.read_pair`.
    """
    return driving_pair.read_pair("gtav", GTAV, config, roles, ALL_TRAIN_IDS, {})
