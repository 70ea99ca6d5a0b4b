"""Exported models compute what the package computes, and the documented programs run them."""

import re
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image

from labor_jax import models
from labor_jax.config import base_config
from labor_jax.data.transforms import resize_image
from labor_jax.deployment import ExportError
from labor_jax.deployment.formats import FORMATS
from labor_jax.deployment.network import Network
from labor_jax.models.backbones import resnet
from tests.conftest import ROOT
from tests.slow import all_but

NETWORKS = [
    ("two_layers", "deeplab_v2"),
    ("two_layers", "deeplab_v3plus"),
    ("two_layers", "linear"),
    ("efficientnet_lite0", "linear"),
    ("resnet18", "deeplab_v3plus"),
    ("resnet50", "linear"),
]


@pytest.fixture(scope="module", autouse=True)
def one_block_a_stage():
    """Of each ResNet: the others are the same, and take long to convert."""
    with pytest.MonkeyPatch.context() as patch:
        for name, (bottleneck, _) in dict(resnet.LAYOUTS).items():
            patch.setitem(resnet.LAYOUTS, name, (bottleneck, (1, 1, 1, 1)))
        yield


def network_of(backbone="two_layers", head="linear", size=(33, 49)):
    config = base_config().model
    config.update(backbone=backbone, head=head, width=8, head_channels=16, output_stride=8)
    if backbone == "two_layers":
        config.output_stride = 4
    segmenter = models.build_segmenter(config, 5)
    variables = models.init_variables(segmenter, jax.random.key(0), size)
    return Network.build(config, 5, variables, size)


def images_of(network, count):
    shape = (count, *network.size, 3)
    return np.random.default_rng(count).integers(0, 256, shape, np.uint8)


def format_named(name):
    format = FORMATS[name]
    try:
        format.check_packages()
    except ExportError as error:
        pytest.skip(str(error))
    return format


def assert_same_logits(network, theirs, images, share):
    assert_close(theirs, network.logits(images), share)


def assert_close(theirs, ours, share):
    assert theirs.dtype == np.float32
    np.testing.assert_allclose(theirs, ours, atol=share * max(1, abs(ours).max()), rtol=0)


@pytest.mark.parametrize(
    ("backbone", "head"),
    all_but([("two_layers", "linear")], NETWORKS),
)
@pytest.mark.parametrize(("name", "share"), [("onnx", 1e-4), ("stablehlo", 1e-5)])
def test_a_program_gives_our_logits_for_any_number_of_images(name, share, backbone, head, tmp_path):
    format, network = format_named(name), network_of(backbone, head)
    path = tmp_path / format.file
    format.write(network, path, {})
    images = images_of(network, 3)
    ours = network.logits(images)
    for count in (1, 3):
        theirs = format.logits(path, network, images[:count])
        assert_close(theirs, ours[:count], share)


@pytest.mark.slow
def test_a_resnets_own_stem_is_among_them():
    # Max pooling is what converters find hardest, and small stems have none.
    assert network_of("resnet18", "linear").segmenter.backbone.stem == "imagenet"


def test_an_onnx_file_tells_its_classes_and_is_valid(tmp_path):
    format, network = format_named("onnx"), network_of()
    path = tmp_path / format.file
    format.write(network, path, {"classes": '["a", "b"]'})
    import onnx

    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert {each.key: each.value for each in model.metadata_props} == {"classes": '["a", "b"]'}
    (images,) = model.graph.input
    assert [d.dim_param or d.dim_value for d in images.type.tensor_type.shape.dim] == [
        "batch",
        33,
        49,
        3,
    ]


class ByPlatform(models.TwoLayers):
    """A backbone with a choice that ONNX doesn't have."""

    def __call__(self, images, train=False):
        images = jax.lax.platform_dependent(images, cpu=lambda x: x * 2, default=lambda x: x + x)
        return super().__call__(images, train)


def test_an_operation_that_onnx_lacks_is_named(tmp_path):
    format, network = format_named("onnx"), network_of()
    odd = network.segmenter.clone(backbone=ByPlatform(output_stride=4, width=8))
    with pytest.raises(ExportError, match=r"can't convert this network: .*platform_index") as error:
        format.write(network.replace(segmenter=odd), tmp_path / format.file, {})
    assert "--to stablehlo" in str(error.value)


@pytest.mark.slow
def test_safetensors_return_the_same_bits(tmp_path):
    format, network = FORMATS["safetensors"], network_of("resnet18", "deeplab_v3plus")
    path = tmp_path / format.file
    format.write(network, path, {"classes": "[]"})
    read = models.read_weights(path, network.segmenter)
    jax.tree.map(np.testing.assert_array_equal, read, dict(network.variables))
    images = images_of(network, 1)
    np.testing.assert_array_equal(format.logits(path, network, images), network.logits(images))


def test_programs_compute_in_float32_whatever_the_run_did():
    config = base_config().model
    config.update(backbone="two_layers", head="linear", width=4, output_stride=4, dtype="bfloat16")
    segmenter = models.build_segmenter(config, 3)
    variables = models.init_variables(segmenter, jax.random.key(0), (16, 16))
    assert Network.build(config, 3, variables, (16, 16)).segmenter.backbone.dtype == np.float32


def test_a_missing_package_is_named_with_the_line_that_installs_it(monkeypatch):
    for name, package in (("onnx", "jax2onnx"), ("stablehlo", "flatbuffers")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ExportError, match=rf"{package}.*pip install 'labor_jax\[{name}\]'"):
            FORMATS[name].check_packages()


@pytest.mark.parametrize("name", all_but(["safetensors"], FORMATS))
def test_the_documented_program_predicts_a_photo(name, exported, tmp_path):
    """Without the package, except for the weights, which need it."""
    folder, network = exported(format_named(name))
    documented = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "export.md").read_text(), re.S)
    assert FORMATS[name].usage in documented
    in_card = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)
    assert in_card == [FORMATS[name].usage]
    photo = np.random.default_rng(0).integers(0, 256, (40, 70, 3), np.uint8)
    Image.fromarray(photo).save(folder / "photo.jpg", quality=95)
    block = "" if name == "safetensors" else "import sys; sys.modules['labor_jax'] = None\n"
    program = f"{block}{in_card[0]}np.save('logits.npy', logits)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    read = np.asarray(Image.open(folder / "photo.jpg"))
    image = resize_image(read, network.size)[None]
    assert_same_logits(network, np.load(folder / "logits.npy"), image, 1e-5)
    classes = np.asarray(Image.open(folder / "classes.png"))
    assert classes.shape == (40, 70)
    assert set(np.unique(classes)) <= set(np.unique(network.logits(image).argmax(-1)))
