"""The network and the rates that go with it."""

import pytest

from labor_jax import adaptation, get_config
from labor_jax.data import own_data

SIZES = {role: ((64, 64),) for role in ("source", "pool", "evaluation")}
INSTALLED = ("efficientnet_lite0",)


def resolved(config, installed=INSTALLED):
    """The values of the choices, and the sentence about the network, if any."""
    choices = own_data.resolve(config, own_data.Facts(SIZES, installed))
    fields = {name: value for choice in choices for name, value in choice.fields.items()}
    about = [str(choice) for choice in choices if "model.backbone" in choice.fields]
    return fields, "".join(about)


def compared(fields):
    """The chosen fields that the other pairs set for any method."""
    own = [name for name in fields if name.split(".")[0] in ("model", "optimizer")]
    own += [name for name in fields if name.endswith("learning_rate")]
    return [*own, "terms.adversarial.width", "terms.auxiliary_adversarial.width"]


def test_imagenet_weights_where_they_are_installed():
    fields, about = resolved(get_config("spl", "folders"))
    camvid = get_config("spl", "camvid")
    for name in compared(fields):
        assert fields[name] == camvid[name], name
    assert "'efficientnet_lite0'" in about and "'imagenet'" in about and "pip" not in about


def test_a_small_network_where_they_are_not():
    fields, about = resolved(get_config("spl", "folders"), ())
    street = get_config("spl", "street")
    for name in compared(fields):
        assert fields[name] == street[name], name
    assert "'resnet18'" in about and "pip install 'labor_jax[pretrained]'" in about


@pytest.mark.parametrize(("installed", "pair"), [(INSTALLED, "camvid"), ((), "street")])
@pytest.mark.parametrize(
    ("method", "term"),
    [
        ("clan", "clan"),
        ("intrada", "intra_domain_adversarial"),
        ("bdl", "translated_adversarial"),
        ("ltir", "translated_adversarial"),
    ],
)
def test_a_methods_discriminator_is_as_wide_as_on_the_pair(method, term, installed, pair):
    fields, _ = resolved(get_config(f"uda:{method}", "folders"), installed)
    assert fields[f"terms.{term}.width"] == get_config(f"uda:{method}", pair).terms[term].width


@pytest.mark.parametrize(
    ("set_fields", "installed", "weight"),
    [
        ({}, INSTALLED, 0.005),
        ({}, (), 0.0),
        ({"model.pretrained": ""}, INSTALLED, 0.0),
        ({"model.pretrained": "mine.pth"}, (), 0.005),
        ({"model.backbone": "efficientnet_lite2"}, (), 0.005),
        ({"model.backbone": "resnet50"}, INSTALLED, 0.0),
    ],
)
def test_features_stay_like_those_of_weights_that_were_trained(set_fields, installed, weight):
    fields = [f"{section}.terms.feature_distance" for section in ("supervised", "warmup")]
    for method in ("uda:mic", "uda:mic+fda"):
        config = get_config(method, "folders")
        config.update_from_flattened_dict(set_fields)
        found, _ = resolved(config, installed)
        assert [found.get(field) for field in fields] == [weight, weight]
        config.warmup.terms.feature_distance = 0.005
        found, _ = resolved(config, installed)
        assert [found.get(field) for field in fields] == [weight, None]
    assert not set(fields) & set(resolved(get_config("spl", "folders"), installed)[0])


def test_another_weight_of_a_feature_distance_is_no_question(monkeypatch):
    def mine(config):
        config.warmup.terms.feature_distance = 0.01

    monkeypatch.setitem(adaptation.METHODS, "mine", mine)
    config = get_config("uda:mine", "folders")
    assert "warmup.terms.feature_distance" not in own_data.open_fields(config)
    assert config.warmup.terms.feature_distance == 0.01


@pytest.mark.parametrize(
    ("set_fields", "installed", "backbone", "pretrained"),
    [
        ({"model.pretrained": ""}, INSTALLED, "resnet18", ""),
        ({"model.pretrained": "imagenet"}, (), "efficientnet_lite0", "imagenet"),
        ({"model.backbone": "efficientnet_lite2"}, (), "efficientnet_lite2", "imagenet"),
        ({"model.backbone": "efficientnet_lite1", "model.pretrained": ""}, INSTALLED, None, None),
        ({"model.backbone": "resnet50"}, INSTALLED, None, None),
        ({"model.pretrained": "mine.pth"}, INSTALLED, None, None),
    ],
)
def test_what_is_set_decides_the_rest(set_fields, installed, backbone, pretrained):
    config = get_config("spl", "folders")
    config.update_from_flattened_dict(set_fields)
    fields, about = resolved(config, installed)
    expected = {"model.backbone": backbone, "model.pretrained": pretrained}
    for name, value in expected.items():
        assert fields.get(name) == (None if name in set_fields else value)
    assert "pip" not in about  # the person has decided
    assert ("optimizer.name" in fields) == (backbone is not None)


@pytest.mark.parametrize(("installed", "pair"), [(INSTALLED, "camvid"), ((), "street")])
@pytest.mark.parametrize("method", ["active:spl", "ripu_source_free"])
def test_rates_of_joint_training(installed, pair, method):
    config, other = get_config(method, "folders"), get_config(method, pair)
    fields, _ = resolved(config, installed)
    optimizer = [f"optimizer.{name}" for name in ("name", "head_multiplier", "clip_norm")]
    for name in ("joint.learning_rate", *optimizer):
        if name in fields:
            assert fields[name] == other[name], name
    # RIPU's SGD stays, but a network that is fine-tuned for so few steps learns less by it.
    assert fields.get("optimizer.name", "sgd") == ("adamw" if pair == "camvid" else "sgd")
    assert fields["selector.learning_rate"] == pytest.approx(other.selector.learning_rate)
    if method == "ripu_source_free":
        assert fields["supervised.learning_rate"] == fields["joint.learning_rate"]
