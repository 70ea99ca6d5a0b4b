"""Tests of published whole models: logits against plain PyTorch twins, round trips, every error."""

import types

import jax
import numpy as np
import pytest

from labor_jax import models
from labor_jax.models import WeightsError

CLASSES, WIDTH, CHANNELS = 5, 8, 12
# Even and odd sizes after the first convolution: 24 and 23.
SIZE = (48, 45)


def segmenter_of(**fields):
    defaults = {
        "backbone": "resnet50",
        "width": WIDTH,
        "stem": "imagenet",
        "variant": "torchvision",
        "output_stride": 8,
        "batch_norm": "frozen",
        "head": "deeplab_v2",
        "head_channels": CHANNELS,
        "first_two_only": False,
        "dropout": 0.1,
        "dtype": "float32",
    }
    return models.build_segmenter(types.SimpleNamespace(**{**defaults, **fields}), CLASSES)


@pytest.fixture(scope="module")
def variables_of():
    """Random variables of a segmenter, drawn once; they depend on the head and classes alone."""
    drawn = {}

    def variables(segmenter):
        key = type(segmenter.head), segmenter.backbone.layout
        if key not in drawn:
            initial = jax.eval_shape(
                lambda key: models.init_variables(segmenter, key, SIZE), jax.random.key(0)
            )
            rng = np.random.default_rng(0)
            drawn[key] = jax.tree_util.tree_map_with_path(
                lambda path, leaf: draw(rng, path[-1].key, leaf.shape), initial
            )
        return jax.tree.map(np.copy, drawn[key])

    return variables


def draw(rng, leaf, shape):
    """A value for a variable of ours or of PyTorch, by its name."""
    if len(shape) > 1:
        fan_in = np.prod(shape[1:] if leaf == "weight" else shape[:-1])
        value = rng.normal(size=shape, scale=(2 / fan_in) ** 0.5)
    elif leaf in ("var", "running_var", "scale", "weight"):
        value = rng.uniform(0.5, 1.0, shape)
    else:
        value = rng.normal(size=shape, scale=0.1)
    return value.astype(np.float32)


@pytest.fixture(scope="module")
def twins():
    """The published networks, written out."""
    torch = pytest.importorskip("torch", reason="the twins of published models are PyTorch's")
    nn, functional = torch.nn, torch.nn.functional

    class NormWithoutEpsilon(nn.Module):
        def __init__(self, channels):
            super().__init__()
            for name in ("weight", "bias", "running_mean", "running_var"):
                self.register_buffer(name, torch.ones(channels))

        def forward(self, x):
            shaped = [each[:, None, None] for each in self.buffers()]
            weight, bias, mean, var = shaped
            return (x - mean) / torch.sqrt(var) * weight + bias

    class Bottleneck(nn.Module):
        def __init__(self, inputs, planes, strides, dilation, norm, downsample):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, planes, 1, strides[0], bias=False)
            self.bn1 = norm(planes)
            self.conv2 = nn.Conv2d(planes, planes, 3, strides[1], dilation, dilation, bias=False)
            self.bn2 = norm(planes)
            self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
            self.bn3 = norm(4 * planes)
            if downsample:
                convolution = nn.Conv2d(inputs, 4 * planes, 1, max(strides), bias=False)
                self.downsample = nn.Sequential(convolution, norm(4 * planes))
            else:
                self.downsample = nn.Identity()

        def forward(self, x):
            y = torch.relu(self.bn1(self.conv1(x)))
            y = torch.relu(self.bn2(self.conv2(y)))
            return torch.relu(self.bn3(self.conv3(y)) + self.downsample(x))

    class Backbone(nn.Module):
        """ResNet-50 at output stride 8."""

        def __init__(self, caffe, norm):
            super().__init__()
            self.caffe = caffe
            self.conv1 = nn.Conv2d(3, WIDTH, 7, 2, 3, bias=False)
            self.bn1 = norm(WIDTH)
            inputs = WIDTH
            first_dilations = (1, 1, 2, 4) if caffe else (1, 1, 1, 2)
            for stage, (count, stride, first, dilation) in enumerate(
                zip((3, 4, 6, 3), (1, 2, 1, 1), first_dilations, (1, 1, 2, 4), strict=True)
            ):
                blocks = []
                for index in range(count):
                    strides = (stride, 1) if caffe else (1, stride)
                    blocks.append(
                        Bottleneck(
                            inputs,
                            WIDTH * 2**stage,
                            (1, 1) if index else strides,
                            dilation if index else first,
                            norm,
                            downsample=index == 0,
                        )
                    )
                    inputs = 4 * WIDTH * 2**stage
                setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))

        def features(self, x):
            x = torch.relu(self.bn1(self.conv1(x)))
            x = functional.max_pool2d(x, 3, 2, 1, ceil_mode=self.caffe)
            low = self.layer1(x)
            middle = self.layer3(self.layer2(low))
            return low, middle, self.layer4(middle)

    class Pyramid(nn.Module):
        def __init__(self, inputs, summed):
            super().__init__()
            self.summed = summed
            self.conv2d_list = nn.ModuleList(
                nn.Conv2d(inputs, CLASSES, 3, 1, rate, rate) for rate in (6, 12, 18, 24)
            )

        def forward(self, x):
            return sum(convolution(x) for convolution in self.conv2d_list[: self.summed])

    class Separable(nn.Module):
        def __init__(self, inputs, outputs, dilation, norm):
            super().__init__()
            self.depthwise_conv = nn.Conv2d(
                inputs, inputs, 3, 1, dilation, dilation, groups=inputs, bias=False
            )
            self.depthwise_bn = norm(inputs)
            self.pointwise_conv = nn.Conv2d(inputs, outputs, 1, bias=False)
            self.pointwise_bn = norm(outputs)

        def forward(self, x):
            x = torch.relu(self.depthwise_bn(self.depthwise_conv(x)))
            return torch.relu(self.pointwise_bn(self.pointwise_conv(x)))

    class V3Plus(nn.Module):
        def __init__(self, norm):
            super().__init__()
            high, low = 32 * WIDTH, 4 * WIDTH

            def convolution(inputs, outputs, size=1):
                filters = nn.Conv2d(inputs, outputs, size, 1, size // 2, bias=False)
                return filters, norm(outputs), nn.ReLU()

            self.parallel_branches = nn.ModuleList(
                [nn.Sequential(*convolution(high, CHANNELS))]
                + [Separable(high, CHANNELS, rate, norm) for rate in (6, 12, 18)]
            )
            self.global_branch = nn.Sequential(
                nn.AdaptiveAvgPool2d(1), *convolution(high, CHANNELS)
            )
            self.bottleneck = nn.Sequential(*convolution(5 * CHANNELS, CHANNELS, 3))
            self.shortcut = nn.Sequential(*convolution(low, 48))
            self.decoder = nn.Sequential(
                Separable(CHANNELS + 48, CHANNELS, 1, norm),
                Separable(CHANNELS, CHANNELS, 1, norm),
                nn.Dropout2d(0.1),
                nn.Conv2d(CHANNELS, CLASSES, 1),
            )

        def forward(self, low, high):
            branches = [branch(high) for branch in self.parallel_branches]
            branches.append(self.global_branch(high).expand(-1, -1, *high.shape[2:]))
            x = upsample(self.bottleneck(torch.cat(branches, 1)), low.shape[2:])
            return self.decoder(torch.cat([x, self.shortcut(low)], 1))

    def upsample(x, size):
        return functional.interpolate(x, size, mode="bilinear", align_corners=True)

    class Ripu(nn.Module):
        def __init__(self, head="deeplab_v2", frozen=True):
            super().__init__()
            norm = NormWithoutEpsilon if frozen else nn.BatchNorm2d
            self.feature_extractor = nn.Module()
            self.feature_extractor.backbone = Backbone(False, norm)
            self.v3plus = head == "deeplab_v3plus"
            self.classifier = V3Plus(norm) if self.v3plus else Pyramid(32 * WIDTH, 4)

        def forward(self, x):
            """x: RGB in 0 to 255."""
            mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
            std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
            low, _, high = self.feature_extractor.backbone.features((x / 255 - mean) / std)
            logits = self.classifier(low, high) if self.v3plus else self.classifier(high)
            return upsample(logits, x.shape[2:])

    class Caffe(Backbone):
        """AdaptSegNet's and ADVENT's: `main` is "layer5" (one level) or "layer6"."""

        def __init__(self, main, auxiliary, summed):
            super().__init__(True, nn.BatchNorm2d)
            self.main = main
            if auxiliary:
                self.layer5 = Pyramid(16 * WIDTH, summed)
            setattr(self, main, Pyramid(32 * WIDTH, summed))

        def forward(self, x):
            """x: RGB in 0 to 255."""
            mean = torch.tensor([104.00698793, 116.66876762, 122.67891434])[:, None, None]
            logits = getattr(self, self.main)(self.features(x.flip(1) - mean)[2])
            return upsample(logits, x.shape[2:])

    return types.SimpleNamespace(ripu=Ripu, caffe=Caffe)


def randomize(module, seed=0):
    """Every tensor of a twin at random."""
    import torch

    rng = np.random.default_rng(seed)
    state = module.state_dict()
    for name, value in state.items():
        if value.is_floating_point():
            drawn = draw(rng, name.split(".")[-1], tuple(value.shape))
            # The Caffe networks see values of about 100.
            drawn = drawn / 64 if name == "conv1.weight" else drawn
            state[name] = torch.tensor(drawn)
    module.load_state_dict(state)
    return module.eval()


def shrink_variances(module):
    """Variances of a fourth of the channels far below batch norm's epsilon, and their scales."""
    import torch

    for name, buffer in module.named_buffers():
        if name.endswith("running_var"):
            owner = module.get_submodule(name.removesuffix(".running_var"))
            with torch.no_grad():
                buffer[::4] *= 1e-8
                owner.weight[::4] *= 1e-4


def raw_images():
    return np.random.default_rng(3).uniform(0, 255, (2, *SIZE, 3)).astype(np.float32)


def assert_same_logits(segmenter, variables, module):
    import torch

    images = raw_images()
    with torch.no_grad():
        expected = module(torch.tensor(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()

    @jax.jit
    def logits_of(variables, images):
        return segmenter.apply(variables, models.normalize_images(images)).logits

    logits = logits_of(variables, images)
    assert expected.std() > 0.1
    assert np.abs(logits - expected).max() < 1e-3


def assert_loads(path, segmenter, template, module):
    loaded = models.load_weights(path, segmenter, template)
    assert jax.tree.structure(loaded) == jax.tree.structure(template)
    assert_same_logits(segmenter, loaded, module)


def save_ripu(path, module, prefix=""):
    """As RIPU's code writes it."""
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], 0.1, momentum=0.9)
    torch.save(
        {
            "iteration": 40000,
            **{
                part: {
                    prefix + name: value
                    for name, value in getattr(module, part).state_dict().items()
                }
                for part in ("feature_extractor", "classifier")
            },
            "optimizer_fea": optimizer.state_dict(),
            "optimizer_cls": optimizer.state_dict(),
        },
        path,
    )


@pytest.mark.parametrize(
    ("head", "frozen", "prefix"),
    [
        pytest.param("deeplab_v2", True, "module.", marks=pytest.mark.slow),
        pytest.param("deeplab_v2", False, "", marks=pytest.mark.slow),
        ("deeplab_v3plus", True, ""),
    ],
)
def test_ripu_checkpoints(tmp_path, twins, variables_of, head, frozen, prefix):
    module = randomize(twins.ripu(head, frozen))
    shrink_variances(module)
    save_ripu(tmp_path / "model_iter040000.pth", module, prefix)
    segmenter = segmenter_of(head=head, batch_norm="frozen" if frozen else "trained")
    assert_loads(tmp_path / "model_iter040000.pth", segmenter, variables_of(segmenter), module)


@pytest.mark.parametrize(
    ("main", "auxiliary", "first_two_only"),
    [
        ("layer6", True, True),
        pytest.param("layer5", False, True, marks=pytest.mark.slow),
        pytest.param("layer6", True, False, marks=pytest.mark.slow),
    ],
    ids=["adaptsegnet", "adaptsegnet_one_level", "advent"],
)
def test_adaptsegnet_and_advent_files(
    tmp_path, twins, variables_of, main, auxiliary, first_two_only
):
    import torch

    module = randomize(twins.caffe(main, auxiliary, 2 if first_two_only else 4))
    # AdaptSegNet's files are from before PyTorch's zip format and counters.
    torch.save(
        {name: v for name, v in module.state_dict().items() if "num_batches" not in name},
        tmp_path / "model.pth",
        _use_new_zipfile_serialization=not first_two_only,
    )
    segmenter = segmenter_of(variant="caffe", first_two_only=first_two_only)
    assert_loads(tmp_path / "model.pth", segmenter, variables_of(segmenter), module)


@pytest.mark.parametrize(
    ("layout", "fields", "twin"),
    [
        pytest.param("ripu", {}, ("ripu", "deeplab_v2", True), marks=pytest.mark.slow),
        pytest.param(
            "ripu",
            {"batch_norm": "trained"},
            ("ripu", "deeplab_v2", False),
            marks=pytest.mark.slow,
        ),
        ("ripu", {"head": "deeplab_v3plus"}, ("ripu", "deeplab_v3plus", True)),
        pytest.param(
            "adaptsegnet",
            {"variant": "caffe", "first_two_only": True},
            ("caffe", "layer5", 0, 2),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "advent",
            {"variant": "caffe"},
            ("caffe", "layer6", 0, 4),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_pytorch_reads_what_is_saved(tmp_path, twins, variables_of, layout, fields, twin):
    import torch

    kind, *arguments = twin
    module = getattr(twins, kind)(*arguments).eval()
    segmenter = segmenter_of(**fields)
    variables = variables_of(segmenter)
    if kind == "caffe":
        variables = jax.tree_util.tree_map_with_path(
            lambda path, leaf: leaf / 64 if "conv1" in str(path) and leaf.ndim > 1 else leaf,
            variables,
        )
    models.save_weights(tmp_path / "model.pth", segmenter, variables, layout)
    table = torch.load(tmp_path / "model.pth", weights_only=True)
    if kind == "ripu":
        module.feature_extractor.load_state_dict(table["feature_extractor"], strict=True)
        module.classifier.load_state_dict(table["classifier"], strict=True)
    else:
        module.load_state_dict(table, strict=True)
    assert_same_logits(segmenter, variables, module)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt"])
@pytest.mark.parametrize("head", ["deeplab_v2", "deeplab_v3plus"])
def test_round_trip(tmp_path, variables_of, suffix, head):
    if suffix == ".pt":
        pytest.importorskip("torch", reason="writing a PyTorch file needs torch")
    segmenter = segmenter_of(head=head, batch_norm="trained")
    variables = variables_of(segmenter)
    models.save_weights(tmp_path / f"model{suffix}", segmenter, variables)
    zeros = jax.tree.map(np.zeros_like, variables)
    loaded = models.load_weights(tmp_path / f"model{suffix}", segmenter, zeros)
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)
    assert [path.name for path in tmp_path.iterdir()] == [f"model{suffix}"]


def test_frozen_batch_norm_survives_losing_its_epsilon(tmp_path, variables_of):
    """Scales differ after a round trip where a variance is small; what is computed does not."""
    segmenter = segmenter_of()
    variables = variables_of(segmenter)
    variables["batch_stats"]["backbone"]["bn1"]["var"][:2] = (0.0, 1e-40)
    models.save_weights(tmp_path / "model.npz", segmenter, variables)
    with np.load(tmp_path / "model.npz") as saved:
        assert not any("num_batches_tracked" in name for name in saved.files)
        assert saved["feature_extractor.backbone.bn1.running_var"].min() > 0.9e-5
    loaded = models.load_weights(tmp_path / "model.npz", segmenter, variables)

    def multiplier(variables):
        scale = variables["params"]["backbone"]["bn1"]["scale"]
        return scale / np.sqrt(variables["batch_stats"]["backbone"]["bn1"]["var"] + 1e-5)

    np.testing.assert_allclose(multiplier(loaded), multiplier(variables), rtol=1e-5)


def test_variances_below_float32s_normal_numbers_load(tmp_path, variables_of):
    """Torchvision's ResNets have such; RIPU's batch norm divides by their root."""
    segmenter = segmenter_of()
    variables = variables_of(segmenter)
    tensors = dict(models.to_torch(segmenter, variables, "ripu"))
    name = "feature_extractor.backbone.bn1.running_var"
    tensors[name] = tensors[name].copy()
    tensors[name][0] = 5.6e-45
    np.savez(tmp_path / "model.npz", **tensors)
    loaded = models.load_weights(tmp_path / "model.npz", segmenter, variables)
    assert np.all(np.isfinite(loaded["params"]["backbone"]["bn1"]["scale"]))
    tensors[name][0] = 0.0
    np.savez(tmp_path / "model.npz", **tensors)
    with pytest.raises(WeightsError, match=f"variances above 0; not so in {name}"):
        models.load_weights(tmp_path / "model.npz", segmenter, variables)


@pytest.mark.parametrize("scale", [False, True])
def test_backbone_files_keep_the_head(tmp_path, variables_of, scale):
    """Torchvision's, and the `Scale.*` of 21 classes that AdaptSegNet starts from."""
    segmenter = segmenter_of(variant="caffe" if scale else "torchvision")
    variables = variables_of(segmenter)
    tensors = models.to_torch(segmenter, variables, "caffe_deeplab" if scale else "torchvision")
    if scale:
        tensors["Scale.layer5.conv2d_list.0.bias"] = np.zeros(21, np.float32)
    else:
        tensors["fc.bias"] = np.zeros(1000, np.float32)
    np.savez(tmp_path / "backbone.npz", **tensors)
    start = {
        collection: {**parts, "backbone": jax.tree.map(np.zeros_like, parts["backbone"])}
        for collection, parts in variables.items()
    }
    loaded = models.load_weights(tmp_path / "backbone.npz", segmenter, start)
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)

    other = segmenter_of(variant="torchvision" if scale else "caffe")
    with pytest.raises(WeightsError, match=r"config\.model\.variant = .* another network"):
        models.load_weights(tmp_path / "backbone.npz", other, start)


@pytest.mark.parametrize(
    ("layout", "fields"), [("ripu", {}), ("advent", {"variant": "caffe"})], ids=["ripu", "advent"]
)
def test_an_auxiliary_head_is_neither_saved_nor_replaced(tmp_path, variables_of, layout, fields):
    segmenter = segmenter_of(**fields)
    auxiliary = {"rate6": {"bias": np.ones(CLASSES, np.float32)}}
    variables = variables_of(segmenter)
    variables["params"]["auxiliary_head"] = auxiliary
    models.save_weights(tmp_path / "model.npz", segmenter, variables, layout)
    loaded = models.load_weights(tmp_path / "model.npz", segmenter, variables)
    assert loaded["params"]["auxiliary_head"]["rate6"]["bias"] is auxiliary["rate6"]["bias"]
    assert jax.tree.structure(loaded) == jax.tree.structure(variables)


def test_every_misfit_is_named(tmp_path, variables_of):
    segmenter = segmenter_of()
    variables = variables_of(segmenter)
    tensors = dict(models.to_torch(segmenter, variables, "ripu"))
    del tensors["feature_extractor.backbone.conv1.weight"]
    tensors["classifier.conv2d_list.0.bias"] = np.zeros(19, np.float32)
    tensors["classifier.conv2d_list.1.bias"] = np.full(CLASSES, np.nan, np.float32)
    tensors["classifier.conv2d_list.2.bias"] = np.full(CLASSES, 1e300)  # float32 has no such number
    tensors["classifier.conv2d_list.4.bias"] = np.zeros(CLASSES, np.float32)
    np.savez(tmp_path / "model.npz", **tensors)
    with pytest.raises(WeightsError) as caught:
        models.load_weights(tmp_path / "model.npz", segmenter, variables)
    message = str(caught.value)
    assert "1 missing: feature_extractor.backbone.conv1.weight" in message
    assert "1 wrong shape: classifier.conv2d_list.0.bias (model (5,), file (19,))" in message
    assert "2 not finite: classifier.conv2d_list.1.bias, classifier.conv2d_list.2.bias" in message
    assert "1 unexpected: classifier.conv2d_list.4.bias" in message
    assert "number of classes" in message and str(tmp_path) in message


@pytest.mark.parametrize(
    ("saved", "layout", "loading", "match"),
    [
        ({}, "ripu", {"variant": "caffe"}, r"config\.model\.variant = 'caffe'.*set 'torchvision'"),
        ({}, "ripu", {"head": "deeplab_v3plus"}, r"head 'deeplab_v2': config\.model\.head is"),
        ({}, "ripu", {"first_two_only": True}, r"config\.model\.first_two_only = False"),
        ({}, "ripu", {"backbone": "efficientnet_lite0"}, r"config\.model\.backbone is 'efficient"),
        (
            {"variant": "caffe"},
            "advent",
            {},
            r"config\.model\.variant = 'torchvision'.*set 'caffe'",
        ),
        (
            {"variant": "caffe"},
            "advent",
            {"variant": "caffe", "head": "deeplab_v3plus"},
            r"head 'deeplab_v2': config\.model\.head is 'deeplab_v3plus'",
        ),
    ],
)
def test_another_network_is_an_error(tmp_path, variables_of, saved, layout, loading, match):
    segmenter = segmenter_of(**saved)
    models.save_weights(tmp_path / "model.npz", segmenter, variables_of(segmenter), layout)
    with pytest.raises(WeightsError, match=match):
        models.load_weights(tmp_path / "model.npz", segmenter_of(**loading), {})


@pytest.mark.parametrize(
    ("layout", "fields", "match"),
    [
        (
            "mmseg",
            {},
            "layout is 'mmseg'; valid: .*adaptsegnet, advent, .*ripu",
        ),
        ("ripu", {"variant": "caffe"}, "set 'torchvision'"),
        ("ripu", {"backbone": "efficientnet_lite0"}, "a ResNet"),
        ("advent", {}, "set 'caffe'"),
        ("advent", {"variant": "caffe", "head": "deeplab_v3plus"}, "the head 'deeplab_v2'"),
        ("adaptsegnet", {"variant": "caffe"}, "first_two_only = True"),
        ("advent", {"variant": "caffe", "first_two_only": True}, "first_two_only = False"),
    ],
)
def test_a_layout_of_another_network_is_an_error(layout, fields, match):
    with pytest.raises(ValueError, match=match):
        models.to_torch(segmenter_of(**fields), {}, layout)
