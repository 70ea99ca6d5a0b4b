"""What a program gives to `run` in place of a config, a pair or devices is named."""

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

import labor_jax
from labor_jax.experiment import argument_checks, shape_checks
from tests.tiny import tiny_config


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"config": {"rounds": 2}}, "config is a dict; give one that labor_jax.get_config"),
        ({"config": None}, "config is a NoneType"),
        ({"config": ConfigDict({"rounds": 2})}, "config has no config.acquisition.* and others"),
        ({"workdir": None}, "workdir is None; give the path of a folder"),
        ({"pair": (1, 2)}, "pair is a tuple; give a labor_jax.data.Pair"),
        ({"pair": "street"}, "pair is a str"),
        ({"profile": 10}, "profile is 10; give text, such as '10'"),
        ({"devices": []}, "devices is empty; name at least one"),
        ({"devices": 2}, r"devices is 2; give a list of jax.devices\(\)"),
        ({"devices": "cpu"}, r"devices\[0\] is 'c'; name devices of"),
        ({"devices": [0]}, r"devices\[0\] is 0; name devices of"),
    ],
)
def test_a_wrong_argument_is_named(arguments, says, tmp_path):
    given = {"config": tiny_config("spl"), "workdir": tmp_path / "run", **arguments}
    with pytest.raises(ValueError, match=f"^{says}"):
        labor_jax.run(**given)
    assert not (tmp_path / "run").exists()


def test_one_device_without_a_list_and_one_twice_are_named(tmp_path):
    device = jax.devices()[0]
    with pytest.raises(ValueError, match=r"^devices is .*; give a list"):
        labor_jax.run(tiny_config("spl"), tmp_path / "run", devices=device)
    with pytest.raises(ValueError, match=f"^devices names {device} twice"):
        labor_jax.run(tiny_config("spl"), tmp_path / "run", devices=[device, device])


@pytest.mark.parametrize("kind", [list, tuple, iter, np.array])
def test_any_row_of_devices_will_do(kind):
    assert argument_checks.checked_devices(kind(jax.devices())) == jax.devices()
    assert argument_checks.checked_devices(None) is None


@pytest.mark.parametrize(
    ("place", "error"), [("a", FileExistsError), ("a/run", NotADirectoryError)]
)
def test_a_file_where_the_workdir_would_be_is_told_before_anything_is_traced(
    place, error, tmp_path, monkeypatch
):
    (tmp_path / "a").touch()
    monkeypatch.setattr(shape_checks, "check_shapes", None)
    with pytest.raises(error):
        labor_jax.run(tiny_config("spl"), tmp_path / place)
