"""What each pair sets in a config, on a config that has the sections and little else."""

import dataclasses

import pytest
from ml_collections import ConfigDict

from labor_jax.data import PAIRS, Augment, folders

_SECTIONS = (
    "model",
    "optimizer",
    "supervised",
    "warmup",
    "retraining",
    "selector",
    "round",
    "joint",
)


def _config(name, method="ppl", protocol="staged"):
    """A pair's settings in the order in which a config is made, without a method's own."""
    config = ConfigDict({"method": method, "protocol": protocol, "recipe": "paper"})
    for section in (*_SECTIONS, "acquisition", "data"):
        config[section] = ConfigDict()
    for phase in ("supervised", "warmup", "retraining", "selector", "round"):
        config[phase].terms = ConfigDict()
    terms = ("adversarial", "auxiliary_adversarial", "clan", "self_training")
    config.terms = ConfigDict({name: {} for name in terms})
    config.acquisition.max_fraction = 0.05
    config.acquisition.radius = config.acquisition.superpixel_size = 32
    config.joint.schedule_steps = 52_500
    config.data.augment = ConfigDict(dataclasses.asdict(Augment()))
    pair = PAIRS[name]
    pair.defaults(config)
    if protocol == "joint":
        pair.joint_defaults(config)
    pair.method_defaults.get(method, lambda config: None)(config)
    return config


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("protocol", ["staged", "joint"])
def test_settings_are_possible(name, protocol):
    config = _config(name, protocol=protocol)
    Augment.from_config(config.data.augment)
    assert {section for section in config if section not in _SECTIONS} >= {"data", "terms"}


def test_two_levels_are_the_papers_alone():
    for name in ("gtav", "synthia"):
        config = _config(name, "uda:adaptsegnet_two_level")
        assert config.supervised.terms.to_dict() == {"auxiliary_source_labels": 0.1}
        assert config.warmup.terms.to_dict() == {
            "auxiliary_source_labels": 0.1,
            "auxiliary_adversarial": 2e-4,
        }
    for name in ("street", "camvid", "camvid_reverse", "folders"):
        assert not _config(name).warmup.terms


def test_spl_asks_the_whole_mask_on_the_papers_pairs():
    for name in PAIRS:
        whole = name in ("gtav", "synthia")
        assert _config(name, "spl").acquisition.max_fraction == (0.0 if whole else 0.05)
        assert _config(name, "spl", "joint").acquisition.max_fraction == 0.05
        assert _config(name, "ppl").acquisition.max_fraction == 0.05


def test_ripus_radius_is_as_large_a_share_of_each_image():
    radius = {name: _config(name, "ripu_pa", "joint").acquisition.radius for name in PAIRS}
    assert radius.pop("street") == 2
    assert {radius.pop(name) for name in ("camvid", "camvid_reverse", "camvid_pool")} == {11}
    assert set(radius.values()) == {32}
    assert _config("street").acquisition.radius == 32


@pytest.mark.parametrize("method", ["superpixels", "multi_hot"])
def test_superpixels_fit_the_images(method):
    size = {name: _config(name, method, "joint").acquisition.superpixel_size for name in PAIRS}
    assert size.pop("street") == 8
    assert {size.pop(name) for name in ("camvid", "camvid_reverse", "camvid_pool")} == {12}
    assert set(size.values()) == {32}


def test_joint_training():
    for name in ("gtav", "synthia"):
        config = _config(name, protocol="joint")
        assert config.acquisition.reference_size == (640, 1280)
        assert config.data.source_sampling == "balanced"
        assert config.data.source_size == (720, 1280)
        assert "source_sampling" not in _config(name).data
    assert _config("synthia").data.source_size == (760, 1280)
    street = _config("street", protocol="joint").optimizer
    assert (street.head_multiplier, street.clip_norm) == (1.0, 1.0)
    for name in ("camvid", "camvid_reverse", "camvid_pool"):
        assert _config(name, protocol="joint").optimizer == _config(name).optimizer


def test_source_free_training():
    sizes = {}
    for name in ("gtav", "synthia"):
        config = _config(name, "ripu_source_free", "joint")
        assert config.supervised.steps == 20_000
        assert config.supervised.learning_rate == 5e-4
        assert config.joint.schedule_steps == 62_500
        sizes[name] = (config.data.target_size, config.data.evaluation_size)
    assert sizes == {"gtav": ((640, 1280),) * 2, "synthia": ((512, 1024),) * 2}
    assert _config("folders", "ripu_source_free", "joint").joint.schedule_steps == 52_500


def test_folders_have_the_fields_of_a_layout():
    data = _config("folders").data
    for role in ("source", "pool", "evaluation"):
        section = data[role].to_dict()
        assert section.pop("classes") == ()
        layout = folders.FolderLayout(f"{role}/images", f"{role}/labels", label_coding="")
        assert folders.FolderLayout(**section) == layout
