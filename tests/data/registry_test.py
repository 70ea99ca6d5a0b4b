import re

import ml_collections
import numpy as np
import pytest

import labor_jax
from labor_jax import data
from labor_jax.data import registry


def _config(**fields):
    sizes = dict.fromkeys(("source_size", "target_size", "evaluation_size"))
    return ml_collections.ConfigDict({**sizes, "cache_bytes": 0, **fields})


def _pair(name):
    images, labels = np.zeros((2, 4, 6, 3), np.uint8), np.zeros((2, 4, 6), int)
    return data.pair_from_arrays(name, ("a", "b"), source=(images, labels), pool=(images, None))


@pytest.fixture
def registered(monkeypatch):
    """A registry in which a test may register pairs."""
    pairs = dict(registry._PAIRS)
    monkeypatch.setattr(registry, "_PAIRS", pairs)
    return pairs


def test_the_packages_pairs_in_their_order():
    names = ("street", "camvid", "camvid_reverse", "camvid_pool", "gtav", "synthia", "folders")
    assert tuple(data.PAIRS) == (*names, "photos")
    with pytest.raises(TypeError):
        data.PAIRS["street"] = None


def test_an_unknown_pair_lists_the_valid_ones_and_says_how_to_register():
    for look_up in (registry.pair_settings, lambda name: data.load_pair(name, _config())):
        with pytest.raises(
            ValueError,
            match=r"unknown data pair 'strret'. Did you mean street\? The pairs are street, "
            r"camvid, camvid_reverse, camvid_pool, gtav, synthia, folders, photos; "
            r"labor_jax\.data\.register_pair",
        ):
            look_up("strret")


def test_a_registered_pair_is_loaded_by_its_name(registered):
    def defaults(config):
        config.rounds = 7

    @data.register_pair("rain", defaults=defaults, method_defaults={"spl": defaults})
    def load(config, roles):
        assert roles == ["pool"] and config.folder == "here"
        return _pair("made under another name")

    assert callable(load)
    pair = data.load_pair("rain", _config(folder="here"), ["pool"])
    assert pair.name == "rain"
    assert len(pair.source) == 2  # a loader may read more than it was asked for
    settings = registry.pair_settings("rain")
    assert (settings.load, settings.defaults) == (load, defaults)
    assert settings.method_defaults == {"spl": defaults}
    config = ml_collections.ConfigDict()
    settings.joint_defaults(config)
    assert not config


def test_without_settings_nothing_is_set(registered):
    data.register_pair("rain")(lambda config, roles: _pair("rain"))
    config = ml_collections.ConfigDict({"rounds": 3})
    registry.pair_settings("rain").defaults(config)
    assert config.to_dict() == {"rounds": 3}
    assert not registry.pair_settings("rain").method_defaults


def test_a_name_cannot_be_registered_twice(registered):
    with pytest.raises(ValueError, match="'street' is registered already"):
        data.register_pair("street")


@pytest.mark.parametrize("name", ["", None, "x,y", "a/b", "a:b", "-x", "x\n", "x.py"])
def test_names_that_do_not_fit_a_command(registered, name):
    with pytest.raises(
        ValueError, match=re.escape(f"{name!r} can't name a data pair; in a command")
    ):
        data.register_pair(name)


@pytest.mark.parametrize("name", ["rain", "night-1", "_2", "städte", "gta5-v1.0", "my rain"])
def test_names_that_fit_a_command(registered, name):
    data.register_pair(name)(lambda config, roles: _pair("rain"))
    assert name in registered


@pytest.mark.parametrize(
    ("error", "says"), [(KeyError("x"), "KeyError: 'x'"), (ValueError("no sun"), "no sun")]
)
def test_an_error_in_a_loader_names_the_pair(registered, error, says):
    @data.register_pair("rain")
    def load(config, roles):
        raise error

    with pytest.raises(ValueError, match=f"^the loader of the data pair 'rain' fails: {says}$"):
        data.load_pair("rain", _config())


def test_the_packages_own_sentences_stay_as_they_are(registered):
    @data.register_pair("rain")
    def load(config, roles):
        return data.pair_from_arrays("rain", "road", source=None, pool=([], None))

    with pytest.raises(ValueError, match=r"^classes must be a tuple of names"):
        data.load_pair("rain", _config())


@pytest.mark.parametrize("error", [data.DataError("no road"), FileNotFoundError("no file")])
def test_errors_about_files_stay_as_they_are(registered, error):
    @data.register_pair("rain")
    def load(config, roles):
        raise error

    with pytest.raises(type(error)) as raised:
        data.load_pair("rain", _config())
    assert raised.value is error


def _unknown(config):
    config.nothing = 3


@pytest.mark.parametrize(
    ("settings", "culprit"),
    [
        ({"defaults": _unknown}, "defaults"),
        ({"short": _unknown}, "short"),
        ({"joint_defaults": _unknown}, "joint_defaults"),
        ({"method_defaults": {"margin": _unknown}}, r"method_defaults\['margin'\]"),
    ],
)
def test_an_error_in_a_pairs_settings_names_both(registered, settings, culprit):
    data.register_pair("rain", **settings)(lambda config, roles: _pair("rain"))
    says = f"^{culprit} of the data pair 'rain' fails: .*Unknown field config.nothing"
    with pytest.raises(ValueError, match=says):
        labor_jax.get_config(
            "active:margin", "rain", schedule="short" if "short" in settings else "full"
        )


def test_a_loader_that_returns_no_pair(registered):
    data.register_pair("rain")(lambda config, roles: {"source": 1})
    with pytest.raises(ValueError, match=r"loader of the data pair 'rain' returned dict"):
        data.load_pair("rain", _config())


def test_an_unknown_role():
    with pytest.raises(ValueError, match="unknown roles test; valid roles: source, pool, eval"):
        data.load_pair("street", _config(), ["test"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"source_size": (0, 4)}, r"data\.source_size must be \(height, width\)"),
        ({"target_size": 4}, r"data\.target_size .* got 4"),
        ({"evaluation_size": (3, 4, 5)}, r"data\.evaluation_size"),
        ({"cache_bytes": -1}, r"data\.cache_bytes must be 0 or more"),
    ],
)
def test_impossible_fields(fields, message):
    with pytest.raises(ValueError, match=message):
        data.load_pair("folders", _config(**fields))
