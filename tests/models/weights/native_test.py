"""The package's own weight layout."""

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from labor_jax import models
from labor_jax.models.weights import native
from tests.tiny_model import tiny_segmenter


@pytest.fixture(scope="module")
def segmenter():
    return tiny_segmenter(num_classes=3)


@pytest.fixture(scope="module")
def variables(segmenter):
    return models.init_variables(segmenter, jax.random.key(0), (16, 16))


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_what_is_written_is_read_bit_by_bit(segmenter, variables, tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    models.save_weights(path, segmenter, variables, "labor_jax")
    jax.tree.map(
        np.testing.assert_array_equal, models.read_weights(path, segmenter), dict(variables)
    )


def test_a_tilde_is_the_users_home(segmenter, variables, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    models.save_weights("~/weights.npz", segmenter, variables, "labor_jax")
    assert (tmp_path / "weights.npz").exists()
    jax.tree.map(
        np.testing.assert_array_equal,
        models.read_weights("~/weights.npz", segmenter),
        dict(variables),
    )


def test_names_are_the_variables_paths_and_filters_stay_as_they_are(segmenter, variables, tmp_path):
    path = tmp_path / "weights.safetensors"
    models.save_weights(path, segmenter, variables, "labor_jax")
    tensors = load_file(path)
    for name, tensor in tensors.items():
        value = variables
        for part in name.split("/"):
            value = value[part]
        np.testing.assert_array_equal(tensor, value)
    assert any(tensor.ndim == 4 for tensor in tensors.values())


def test_another_network_of_the_same_shapes_is_refused(variables, segmenter, tmp_path):
    path = tmp_path / "weights.safetensors"
    other = segmenter.clone(backbone=models.TwoLayers(output_stride=4))
    models.save_weights(path, other, variables, "labor_jax")
    models.read_weights(path, other)
    with pytest.raises(models.WeightsError, match="output_stride = 4 and not 2: set that in"):
        models.read_weights(path, segmenter)


def test_the_head_of_other_classes_is_refused(variables, segmenter, tmp_path):
    path = tmp_path / "weights.safetensors"
    tensors = models.to_torch(segmenter, variables, "labor_jax")
    save_file(tensors, path, {native.CLASSES: '["road", "sky", "tree"]'})
    models.load_weights(path, segmenter, variables)
    models.load_weights(path, segmenter, variables, ("road", "sky", "tree"))
    both = r"of the classes road, sky, tree, and not of "
    with pytest.raises(models.WeightsError, match=both + "tree, road, sky. Give them in the file"):
        models.load_weights(path, segmenter, variables, ("tree", "road", "sky"))
    for classes in (("road", "sky", "bush"), ("road", "sky")):
        with pytest.raises(models.WeightsError, match=both + ", ".join(classes) + r"\. If "):
            models.load_weights(path, segmenter, variables, classes)


def test_a_resnet_of_the_other_variant_is_refused(tmp_path):
    theirs, ours = (
        models.Segmenter(models.ResNet("resnet18", width=4, variant=variant), models.Linear(3))
        for variant in ("caffe", "torchvision")
    )
    path = tmp_path / "weights.SAFETENSORS"
    shapes = jax.eval_shape(lambda: models.init_variables(theirs, jax.random.key(0), (32, 32)))
    weights = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    models.save_weights(path, theirs, weights, "labor_jax")
    models.read_weights(path, theirs)
    with pytest.raises(models.WeightsError, match="variant = 'caffe' and not 'torchvision'"):
        models.read_weights(path, ours)


@pytest.mark.parametrize("text", ["no JSON", "[1]", '{"backbone": 3}'])
def test_damaged_metadata_are_named(variables, segmenter, tmp_path, text):
    path = tmp_path / "weights.safetensors"
    tensors = models.to_torch(segmenter, variables, "labor_jax")
    save_file(tensors, path, {native.NETWORK: text})
    with pytest.raises(models.WeightsError, match="metadata are damaged"):
        models.read_weights(path, segmenter)
    save_file(tensors, path, {native.CLASSES: "3"})
    with pytest.raises(models.WeightsError, match="metadata are damaged"):
        models.read_weights(path, segmenter)


def test_an_auxiliary_head_in_a_file_is_left_out(variables, segmenter, tmp_path):
    path = tmp_path / "weights.npz"
    tensors = models.to_torch(segmenter, variables, "labor_jax")
    np.savez(path, **tensors, **{"params/auxiliary_head/kernel": np.zeros(2, np.float32)})
    models.read_weights(path, segmenter)


@pytest.mark.slow
def test_weights_of_a_backbone_are_no_whole_model(segmenter, variables, tmp_path):
    resnet = models.Segmenter(models.ResNet(width=8, layout="resnet18"), models.Linear(3))
    whole = models.init_variables(resnet, jax.random.key(0), (32, 32))
    path = tmp_path / "weights.npz"
    models.save_weights(path, resnet, whole, "torchvision")
    with pytest.raises(models.WeightsError, match="holds a backbone alone"):
        models.read_weights(path, resnet)
