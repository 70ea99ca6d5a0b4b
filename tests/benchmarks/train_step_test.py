"""The training step's benchmark at tiny sizes: both frameworks agree, and what is counted."""

import contextlib
import dataclasses
import types

import jax
import numpy as np
import pytest

from benchmarks import train_step
from labor_jax import losses, models
from labor_jax.models.backbones import resnet

TINY = train_step.Case(
    backbone="resnet18",
    head="deeplab_v2",
    batch_norm="trained",
    dtype="float32",
    source_size=(48, 64),
    target_size=(40, 64),
    width=8,
    head_channels=16,
)


@pytest.fixture(scope="module")
def result():
    pytest.importorskip("torch", reason="the step is compared with PyTorch's")
    return train_step.measure(TINY, rounds=2, steps_a_round=1, device="cpu", with_torch=True)


@pytest.mark.slow
def test_both_steps_are_timed_once_they_agree(result):
    assert len(result.ours) == len(result.theirs) == 2
    assert min(result.ours + result.theirs) > 0
    assert result.our_peak > 0 and result.their_peak is None


@pytest.mark.slow
def test_xla_counts_somewhat_more_than_the_convolutions(result):
    # Batch norm and losses, and of the head's taps those that read the padding: at this size most.
    assert 1.0 < result.counted_flops / result.model_flops < 1.6


@pytest.mark.slow
def test_a_frozen_bottleneck_network_in_bfloat16_has_its_twin(monkeypatch):
    pytest.importorskip("torch", reason="the step is compared with PyTorch's")
    # A block a stage: it compiles in a tenth of the time.
    monkeypatch.setitem(resnet.LAYOUTS, "resnet50", (True, (1, 1, 1, 1)))
    case = dataclasses.replace(TINY, backbone="resnet50", batch_norm="frozen", dtype="bfloat16")
    batch = train_step.example_batch(case)
    ours = train_step.OurStep(case, batch)
    theirs = train_step.torch_step(case, ours, "cpu")
    line = train_step.check_same_step(case, ours, theirs, theirs.batch(batch))
    assert line.startswith("bfloat16: the first step agrees")


@pytest.mark.slow
def test_the_other_head_has_its_twin():
    """By its logits: the gradient of this head takes half a minute to compile."""
    torch = pytest.importorskip("torch", reason="the step is compared with PyTorch's")
    case = dataclasses.replace(TINY, head="deeplab_v3plus")
    ours = Initial(case)
    images = train_step.example_batch(case)["source"]["image"]

    @jax.jit
    def logits_of(variables, images):
        images = models.normalize_images(images)
        outputs, _ = ours.segmenter.apply(variables, images, train=True, mutable=["batch_stats"])
        return outputs.logits

    step = train_step.torch_step(case, ours, "cpu")
    with torch.no_grad():
        logits = step.network(torch.from_numpy(images).permute(0, 3, 1, 2), step._autocast)
    expected = logits.permute(0, 2, 3, 1).numpy()
    assert expected.std() > 0.3
    np.testing.assert_allclose(logits_of(ours.variables, images), expected, atol=1e-3)


class Initial:
    """The model before a step, without a compiled one."""

    def __init__(self, case=TINY):
        self.segmenter = models.build_segmenter(case.model_config(), train_step.NUM_CLASSES)
        self.variables = train_step.initial_variables(case, self.segmenter)


class Stand(Initial):
    """A step of PyTorch in the place of ours."""

    def __init__(self, batch):
        super().__init__()
        self._step = train_step.torch_step(TINY, self, "cpu")
        self._batch = self._step.batch(batch)

    def __call__(self):
        return self._step(self._batch)

    def parameters(self):
        return self._step.parameters()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda step: step.network.classifier.conv2d_list[0].weight.data.mul_(1.1), "the term"),
        (lambda step: step._optimizer.param_groups[1].update(multiplier=5.0), "the parameters'"),
        (lambda step: None, None),
    ],
    ids=["weights", "rate", "same"],
)
def test_another_step_is_told(change, says):
    pytest.importorskip("torch", reason="the step is compared with PyTorch's")
    batch = train_step.example_batch(TINY)
    ours = Stand(batch)
    theirs = train_step.torch_step(TINY, ours, "cpu")
    change(theirs)
    expected = pytest.raises(train_step.ComparisonError, match=says)
    with expected if says else contextlib.nullcontext():
        train_step.check_same_step(TINY, ours, theirs, theirs.batch(batch))


def test_the_batch_has_few_target_labels_and_boundaries_on_source():
    batch = train_step.example_batch(dataclasses.replace(TINY, target_size=(300, 400)))
    labelled = (batch["target"]["label"] != 255).mean()
    assert 0.015 < labelled < 0.03
    assert np.all(batch["source"]["label"] < train_step.NUM_CLASSES)
    assert losses.label_boundary(batch["source"]["label"], train_step.NUM_CLASSES).any()


def test_convolutions_are_counted_by_the_taps_inside_the_image():
    case = dataclasses.replace(
        TINY, source_size=(32, 32), target_size=(32, 32), batch_size=1, head_channels=4
    )
    # The features are 4x4, so that of the head's four 3x3 filters only the centre's tap reads them.
    head = 4 * 16 * 64 * train_step.NUM_CLASSES
    # (products an axis, channels in, channels out, passes, how many such layers)
    backbone = sum(
        axis**2 * inputs * outputs * passes * layers
        for axis, inputs, outputs, passes, layers in (
            (7 * 16 - 3 - 1 - 2, 3, 8, 2, 1),  # conv1: no gradient of the image
            (3 * 8 - 2, 8, 8, 3, 4),
            (3 * 4 - 1, 8, 16, 3, 1),  # stride 2
            (3 * 4 - 2, 16, 16, 3, 3),
            (4, 8, 16, 3, 1),  # a 1x1 shortcut
            (3 * 4 - 2, 16, 32, 3, 1),
            (3 * 4 - 4, 32, 32, 3, 3),  # dilation 2
            (4, 16, 32, 3, 1),
            (3 * 4 - 4, 32, 64, 3, 1),
            (4, 64, 64, 3, 3),  # dilation 4: the centre alone
            (4, 32, 64, 3, 1),
        )
    )
    assert train_step.convolution_flops(case) == 2 * 2 * (backbone + 3 * head)


@pytest.mark.parametrize(
    ("kind", "peak"),
    [
        ("NVIDIA A100-SXM4-80GB", 312.0),
        ("NVIDIA H100 80GB HBM3", 989.4),
        ("NVIDIA H100 PCIe", 756.0),
        ("NVIDIA H200", 989.4),
        ("NVIDIA L4", 121.0),
        ("NVIDIA L40", None),
        ("Tesla V100-SXM2-16GB", 125.0),
        ("Tesla T4", 65.0),
        ("NVIDIA GeForce RTX 4090", 165.2),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("cpu", None),
    ],
)
def test_peaks_of_known_gpus(kind, peak):
    assert train_step.peak_teraflops(kind) == peak


def test_an_earlier_cases_peak_memory_is_not_this_ones():
    step, peak = object.__new__(train_step.OurStep), 7000
    planned = {"argument": 40, "output": 30, "temp": 20, "alias": 10}
    plan = types.SimpleNamespace(**{f"{k}_size_in_bytes": v for k, v in planned.items()})
    step._compiled = types.SimpleNamespace(memory_analysis=lambda: plan)
    step._device = types.SimpleNamespace(memory_stats=lambda: {"peak_bytes_in_use": peak})
    for before, told in ((0, 7000), (6999, 7000), (7000, 80)):
        step._peak_before = before
        assert step.peak_bytes() == told


def test_the_share_of_the_peak_is_stated_where_the_peak_is_known():
    result = train_step.Result(
        TINY, [0.5, 0.25], [1.0, 0.5], 2.2e13, 2e13, our_peak=2**31, their_peak=2**32
    )
    heads, _, line = (
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in train_step.results_table([result], "NVIDIA A100-SXM4-80GB").splitlines()
    )
    cells = dict(zip(heads, line, strict=True))
    assert cells["share of the bf16 peak"] == "25.6%"  # 2e13 / 0.25 / 312e12
    assert cells["PyTorch / labor_jax"] == "2.00"
    assert (cells["peak memory, GiB"], cells["PyTorch's"]) == ("2.00", "4.00")
    assert "share" not in train_step.results_table([result], "NVIDIA L40")


def test_hours_follow_the_configs_steps_and_pixels():
    assert train_step.row_steps("ripu_ra:gtav") == 40_000
    assert train_step.row_steps("warmup:synthia") == 80_000
    # Two images of each domain a step; LabOR's first phase crops, and sees the source alone.
    ripu, crop = 2 * (720 * 1280 + 640 * 1280), 512 * 1024
    assert train_step.row_pixels("ripu_ra:gtav") == 40_000 * ripu
    assert train_step.row_pixels("source_only:gtav") == 20_000 * 2 * 720 * 1280
    assert train_step.row_pixels("warmup:gtav") == (100_000 * 2 + 50_000 * 4) * crop
    case = dataclasses.replace(TINY, source_size=(720, 1280), target_size=(640, 1280))
    result = train_step.Result(case, [0.9], [], 1.0, 1.0, None, None)
    table = train_step.hours_table([result])
    assert "| ripu_ra:gtav | 40,000 | 3.48 | 10.0 |" in table
    assert "| source_only:gtav | 20,000 | 1.84 | 2.6 |" in table
    assert "the measured step reads 3.48 megapixels" in table


def test_presets_and_what_is_given_beside_them():
    gpu = train_step.parse_arguments([], "gpu")
    assert (gpu.backbone, gpu.source_size, gpu.target_size) == (
        *("resnet101", (720, 1280), (640, 1280)),
    )
    assert gpu.batch_norm == "frozen" and set(gpu.dtype) == {"tf32", "bfloat16"}
    given = ["--preset", "gpu", "--backbone", "resnet50", "--source_size", "96x64"]
    mixed = train_step.parse_arguments([*given, "--dtype", "float32"], "cpu")
    assert (mixed.backbone, mixed.source_size, mixed.target_size, mixed.dtype) == (
        *("resnet50", (96, 64), (640, 1280), ["float32"]),
    )
    assert train_step.parse_arguments([], "cpu").source_size == (240, 320)


def test_a_size_that_is_none_is_told(capsys):
    with pytest.raises(SystemExit):
        train_step.parse_arguments(["--source_size", "720"], "cpu")
    assert "HEIGHTxWIDTH" in capsys.readouterr().err


@pytest.mark.slow
def test_the_whole_command(capsys, monkeypatch, result):
    monkeypatch.setattr(train_step, "measure", lambda case, **_: result)
    train_step.main(["--rounds", "1", "--hours"])
    printed = capsys.readouterr().out
    assert f"jax {jax.__version__}" in printed and "| float32 |" in printed
    assert "240x320" in printed and "ripu_ra:gtav" in printed
