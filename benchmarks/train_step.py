"""A training step's time against PyTorch's, in one run: `python benchmarks/train_step.py`.

The step is RIPU's joint training: cross-entropy and local consistency on source, cross-entropy on a
few target labels and negative learning on target, then SGD with momentum, weight decay, the poly
rate and ten times of it for the head. Ours is the step that `labor_jax.main` takes, compiled
by `mesh.data_parallel`; PyTorch's is written plainly in `torch_step.py`, in channels_last memory,
under autocast for bfloat16. Before anything is timed, both take a step from the same weights: the
loss's terms and the parameters' update have to agree.

Rounds of steps alternate between the two. `--preset gpu` is the papers' DeepLab-v2 on ResNet-101 at
1280x720 and 1280x640, 2 + 2 images, batch norm frozen; `--preset cpu` (the default without a GPU)
is DeepLab-v2 on ResNet-18 at 240x320, 2 + 2, batch norm trained. Dropout is off. `--hours` adds how
long the papers' rows train: at the measured step's time a pixel, each phase by the images it reads.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import math
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from ml_collections import ConfigDict

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from labor_jax import models
from labor_jax.config import get_config
from labor_jax.experiment import components
from labor_jax.experiment.phases import KINDS
from labor_jax.experiment.plan import plan
from labor_jax.models.backbones.resnet import LAYOUTS
from labor_jax.models.convolutions import DepthwiseConv, PointwiseConv
from labor_jax.training import mesh as mesh_lib
from labor_jax.training import optimizers
from labor_jax.training.state import create_state
from labor_jax.training.step import make_train_step
from labor_jax.training.terms import Terms

NUM_CLASSES = 19
DTYPES = ("float32", "tf32", "bfloat16")
PRESETS = {
    "gpu": dict(
        backbone="resnet101",
        head="deeplab_v2",
        batch_norm="frozen",
        source_size=(720, 1280),
        target_size=(640, 1280),
        dtype=("tf32", "bfloat16"),
    ),
    "cpu": dict(
        backbone="resnet18",
        head="deeplab_v2",
        batch_norm="trained",
        source_size=(240, 320),
        target_size=(240, 320),
        dtype=("float32",),
    ),
}

# Dense bfloat16 products a second in 1e12 floating-point operations, from the makers' data sheets;
# for the V100 and the T4, which have no bfloat16, their float16's. A name is a part of JAX's
# `device_kind`; of several that fit the longest holds.
PEAK_TERAFLOPS = {
    "A100": 312.0,
    "H100": 989.4,
    "H100 PCIe": 756.0,
    "H100 NVL": 835.5,
    "H200": 989.4,
    "L4": 121.0,
    "V100": 125.0,
    "T4": 65.0,
    "RTX 4090": 165.2,
}

# Largest relative difference of a loss term, and of the whole update in the Euclidean norm.
TOLERANCES = {"float32": (1e-4, 5e-3), "tf32": (5e-3, 5e-2), "bfloat16": (5e-2, 0.3)}

# The papers' rows that train; their steps are added up over the phases.
ROWS = tuple(
    f"{name}:{pair}"
    for pair in ("gtav", "synthia")
    for name in (
        *("source_only", "warmup", "ppl", "spl", "ripu_pa", "ripu_ra"),
        *("ripu_source_free", "supervised"),
    )
)


class ComparisonError(Exception):
    """The two steps don't compute the same."""


@dataclasses.dataclass(frozen=True)
class Case:
    """What is timed.

    Attributes:
      backbone: a ResNet.
      head: "deeplab_v2" or "deeplab_v3plus".
      batch_norm: "trained" or "frozen".
      dtype: one of `DTYPES`.
      source_size: (H, W) of source images.
      target_size: (H, W) of target images.
      batch_size: images of each domain in a step.
      width: channels of the ResNet's first stage.
      head_channels: channels of the v3+ head.
      remat: whether our backbone computes activations again for the gradient.
    """

    backbone: str
    head: str
    batch_norm: str
    dtype: str
    source_size: tuple[int, int]
    target_size: tuple[int, int]
    batch_size: int = 2
    width: int = 64
    head_channels: int = 512
    remat: bool = False

    def model_config(self) -> ConfigDict:
        """The model as `build_segmenter` takes it."""
        model = get_config("ripu_ra", "gtav").model
        model.update(
            backbone=self.backbone,
            head=self.head,
            batch_norm=self.batch_norm,
            width=self.width,
            head_channels=self.head_channels,
            remat=self.remat,
            dropout=0.0,
            dtype="bfloat16" if self.dtype == "bfloat16" else "float32",
        )
        return model


@dataclasses.dataclass(frozen=True)
class Schedule:
    """RIPU's optimisation, for both frameworks."""

    learning_rate: float
    steps: int
    momentum: float
    weight_decay: float
    head_multiplier: float
    power: float


def ripu_training() -> tuple[ConfigDict, Schedule, Terms]:
    """The optimiser's config, the same with its rate and length, and the loss of `ripu_ra:gtav`."""
    config = get_config("ripu_ra", "gtav")
    optimizer = config.optimizer
    schedule = Schedule(
        config.joint.learning_rate,
        config.joint.schedule_steps,
        *(optimizer.momentum, optimizer.weight_decay, optimizer.head_multiplier),
        optimizer.power,
    )
    return optimizer, schedule, components.terms(config, "round")


def example_batch(case: Case, seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """Random scenes of rectangles; the target has labels in 3x3 regions, 2.2% of its pixels."""
    rng = np.random.default_rng(seed)

    def domain(size):
        coarse = [-(-each // 32) for each in size]
        blocks = rng.integers(0, NUM_CLASSES, (case.batch_size, *coarse), np.int32)
        label = blocks.repeat(32, 1).repeat(32, 2)[:, : size[0], : size[1]]
        noise = rng.integers(0, 64, (*label.shape, 3))
        return {"image": (label[..., None] * 10 + noise).astype(np.uint8), "label": label}

    source, target = domain(case.source_size), domain(case.target_size)
    asked = rng.random((case.batch_size, *(-(-each // 3) for each in case.target_size))) < 0.022
    asked[:, 0, 0] = True
    asked = asked.repeat(3, 1).repeat(3, 2)[:, : case.target_size[0], : case.target_size[1]]
    target["label"] = np.where(asked, target["label"], 255).astype(np.int32)
    return {"source": source, "target": target}


def initial_variables(case: Case, segmenter: models.Segmenter) -> dict[str, Any]:
    """Random weights, host arrays: residual blocks that add little, logits of about 1 and more.

    As in a trained network: with He's variances throughout, a hundred layers under frozen
    statistics grow beyond what a softmax can be compared at, and without differences between the
    logits no class is improbable.
    """
    variables = models.init_variables(segmenter, jax.random.key(0), (64, 64))
    variables = jax.tree.map(np.array, variables)
    params = variables["params"]
    last = "bn3" if "bn3" in params["backbone"]["layer1_0"] else "bn2"
    for name, block in params["backbone"].items():
        if name.startswith("layer"):
            block[last]["scale"] *= 0.25
    for name, layer in params["head"].items():
        if name == "logits" or name.startswith("rate"):
            layer["kernel"] /= layer["kernel"].std() * math.prod(layer["kernel"].shape[:-1]) ** 0.5
    return variables


class OurStep:
    """`labor_jax`'s step, compiled for one device.

    Attributes:
      segmenter: the network.
      variables: the model's variables before the first step, host arrays.
    """

    def __init__(self, case: Case, batch: dict):
        self._device = jax.devices()[0]  # PyTorch's step knows one device
        self._peak_before = self._measured_peak()
        self.segmenter = models.build_segmenter(
            case.model_config(), NUM_CLASSES, axis_name=mesh_lib.BATCH_AXIS
        )
        self.variables = initial_variables(case, self.segmenter)
        optimizer_config, schedule, terms = ripu_training()
        optimizer = optimizers.segmentation_optimizer(
            optimizer_config,
            learning_rate=schedule.learning_rate,
            steps=schedule.steps,
            decay_mask=lambda params: models.trainable_mask(
                self.segmenter, params, self.variables["batch_stats"]
            ),
        )
        step = make_train_step(self.segmenter, optimizer, terms)
        mesh = mesh_lib.device_mesh([self._device])
        compiled = mesh_lib.data_parallel(step, mesh, batched_arguments=(1,), donate=True)
        self._state = mesh_lib.replicate(
            create_state(self.variables, optimizer, jax.random.key(1), memory=terms.memory(None)),
            mesh,
        )
        self._batch = mesh_lib.shard_batch(batch, mesh)
        # TensorFloat-32 is what JAX takes for float32 where the GPU has it, unless told not to.
        highest = case.dtype == "float32"
        with jax.default_matmul_precision("highest") if highest else contextlib.nullcontext():
            self._lowered = compiled.lower(self._state, self._batch)
            start = time.perf_counter()
            self._compiled = self._lowered.compile()
            self.compile_seconds = time.perf_counter() - start

    def __call__(self) -> dict[str, jax.Array]:
        self._state, metrics = self._compiled(self._state, self._batch)
        return metrics

    def wait(self) -> None:
        jax.block_until_ready(self._state)

    def parameters(self) -> dict[str, np.ndarray]:
        """The model's variables by PyTorch's names and in its layout."""
        return models.to_torch(self.segmenter, jax.device_get(self._state.variables), "ripu")

    def counted_flops(self, expected: float) -> float:
        """XLA's count of the step's floating-point operations.

        Of the compiled program, unless its convolutions are calls into a library, which XLA counts
        as nothing: then less than half of `expected` is left, and the program as traced counts.
        """
        compiled = _flops(self._compiled)
        return compiled if compiled > 0.5 * expected else _flops(self._lowered)

    def _measured_peak(self) -> int:
        return (self._device.memory_stats() or {}).get("peak_bytes_in_use", 0)

    def peak_bytes(self) -> int | None:
        """Most bytes held at once: what the GPU had, elsewhere what the compiler planned.

        JAX can't reset the GPU's peak, so a case after one that held more is told by its plan too.
        """
        measured = self._measured_peak()
        if measured > self._peak_before:
            return measured
        plan = self._compiled.memory_analysis()
        if plan is None:
            return None
        held = plan.argument_size_in_bytes + plan.output_size_in_bytes + plan.temp_size_in_bytes
        return held - plan.alias_size_in_bytes


def _flops(program: Any) -> float:
    analysis = program.cost_analysis() or {}
    # A list of one in older versions of JAX.
    analysis = analysis[0] if isinstance(analysis, list) else analysis
    return float(analysis.get("flops", 0.0))


def convolution_flops(case: Case) -> float:
    """Operations of a step's convolutions, from the layers' shapes: the model's own work.

    A product and a sum for every output pixel, channel and filter tap that reads inside the image;
    three times, for the output, the input's gradient and the filter's, but for the first
    convolution, whose input has none.
    """
    config = case.model_config()
    config.remat = False
    segmenter = models.build_segmenter(config, NUM_CLASSES)
    total = 0.0

    def count(next_function, arguments, keywords, context):
        nonlocal total
        outputs = next_function(*arguments, **keywords)
        module = context.module
        if context.method_name == "__call__" and isinstance(
            module, nn.Conv | nn.Dense | PointwiseConv | DepthwiseConv
        ):
            once = _layer_flops(module, arguments[0].shape, outputs.shape)
            total += once * (2 if arguments[0].shape[-1] == 3 else 3)
        return outputs

    for size in (case.source_size, case.target_size):
        images = jax.ShapeDtypeStruct((case.batch_size, *size, 3), np.float32)
        variables = jax.eval_shape(
            lambda: models.init_variables(segmenter, jax.random.key(0), (64, 64))
        )
        with nn.intercept_methods(count):
            jax.eval_shape(
                lambda variables, images: segmenter.apply(
                    variables, images, train=True, mutable=["batch_stats"]
                ),
                variables,
                images,
            )
    return total


def _layer_flops(module: nn.Module, inputs: tuple, outputs: tuple) -> float:
    pairs = math.prod(outputs[:3])  # of output pixel and tap that reads a pixel, not the padding
    if isinstance(module, nn.Conv):
        pairs = outputs[0] * math.prod(
            _taps_inside(inputs[axis], outputs[axis], kernel, stride, dilation, padding)
            for axis, kernel, stride, dilation, padding in zip(
                (1, 2),
                module.kernel_size,
                _pair(module.strides),
                _pair(module.kernel_dilation),
                _pair(module.padding),
                strict=True,
            )
        )
    elif isinstance(module, DepthwiseConv):
        span = (module.kernel_size - 1) * module.dilation + 1
        pairs = outputs[0] * math.prod(
            _taps_inside(
                inputs[axis],
                outputs[axis],
                module.kernel_size,
                module.stride,
                module.dilation,
                max((outputs[axis] - 1) * module.stride + span - inputs[axis], 0) // 2,
            )
            for axis in (1, 2)
        )
        return 2.0 * pairs * inputs[-1]
    return 2.0 * pairs * inputs[-1] * outputs[-1]


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def _taps_inside(size, out_size, kernel, stride, dilation, padding) -> int:
    position = np.arange(out_size)[:, None] * stride + np.arange(kernel) * dilation - padding
    return int(np.sum((position >= 0) & (position < size)))


def torch_step(case: Case, ours: OurStep, device: str):
    """PyTorch's step from the same weights."""
    from benchmarks.torch_step import TorchStep

    _, schedule, terms = ripu_training()
    return TorchStep(
        models.to_torch(ours.segmenter, ours.variables, "ripu"),
        network=dict(
            backbone=case.backbone,
            width=case.width,
            head=case.head,
            head_channels=case.head_channels,
            num_classes=NUM_CLASSES,
            frozen=case.batch_norm == "frozen",
        ),
        device=device,
        dtype=case.dtype,
        weights=terms.weights,
        optimizer=schedule,
    )


def check_same_step(case: Case, ours: OurStep, theirs, torch_batch) -> str:
    """Takes a first step with both and compares; returns a line about the differences.

    Raises:
      ComparisonError: a term or the update differs by more than rounding explains.
    """
    before = models.to_torch(ours.segmenter, ours.variables, "ripu")
    terms = {name: float(value) for name, value in ours().items()}
    expected_terms = {name: float(value) for name, value in theirs(torch_batch).items()}
    after, expected_after = ours.parameters(), theirs.parameters()
    term_limit, update_limit = TOLERANCES[case.dtype]
    largest = 0.0
    for name, expected in expected_terms.items():
        difference = abs(terms[name] - expected) / abs(expected)
        largest = max(largest, difference)
        if not difference <= term_limit:
            raise ComparisonError(
                f"{case.dtype}: the term {name} is {terms[name]:.6g} here and {expected:.6g} in "
                f"PyTorch, {difference:.1e} apart; at most {term_limit:.1e} is rounding."
            )
    squares = np.zeros(2)
    for name, expected in expected_after.items():
        wrong = np.square(np.subtract(after[name], expected, dtype=np.float64)).sum()
        squares += wrong, np.square(np.subtract(expected, before[name], dtype=np.float64)).sum()
    difference = math.sqrt(squares[0] / squares[1]) if squares[1] else math.inf
    if not difference <= update_limit:
        raise ComparisonError(
            f"{case.dtype}: the parameters' update differs from PyTorch's by {difference:.1e} of "
            f"its norm; at most {update_limit:.1e} is rounding."
        )
    return (
        f"{case.dtype}: the first step agrees: terms to {largest:.1e}, the update to "
        f"{difference:.1e} of its norm"
    )


@dataclasses.dataclass(frozen=True)
class Result:
    """What was measured of one case; times are seconds a step, one for each round."""

    case: Case
    ours: list[float]
    theirs: list[float]
    counted_flops: float
    model_flops: float
    our_peak: int | None
    their_peak: int | None

    def ratio(self) -> float:
        """PyTorch's time over ours, of the fastest rounds: the others waited for something."""
        return min(self.theirs) / min(self.ours)


def measure(case: Case, *, rounds: int, steps_a_round: int, device: str, with_torch: bool):
    """Compiles, checks and times one case; returns a `Result`."""
    batch = example_batch(case)
    ours = OurStep(case, batch)
    print(f"{case.dtype}: compiled in {ours.compile_seconds:.0f} s", flush=True)
    timed = [(ours, (), [])]
    theirs = None
    if with_torch:
        theirs = torch_step(case, ours, device)
        torch_batch = theirs.batch(batch)
        print(check_same_step(case, ours, theirs, torch_batch), flush=True)
        timed.append((theirs, (torch_batch,), []))
    for number in range(rounds + 1):
        for step, arguments, times in timed:
            step.wait()
            start = time.perf_counter()
            for _ in range(steps_a_round):
                step(*arguments)
            step.wait()
            if number:  # the first round warms up
                times.append((time.perf_counter() - start) / steps_a_round)
    model_flops = convolution_flops(case)
    return Result(
        case=case,
        ours=timed[0][2],
        theirs=timed[1][2] if with_torch else [],
        counted_flops=ours.counted_flops(model_flops),
        model_flops=model_flops,
        our_peak=ours.peak_bytes(),
        their_peak=theirs.peak_bytes() if theirs else None,
    )


def peak_teraflops(device_kind: str) -> float | None:
    """The entry of `PEAK_TERAFLOPS` for a device; None for an unknown one."""
    # Word by word: an L40 is no L4, and a laptop's GPU not the desktop's of the same name.
    words = device_kind.replace("-", " ").split()
    fitting = [name for name in PEAK_TERAFLOPS if set(name.split()) <= set(words)]
    return PEAK_TERAFLOPS[max(fitting, key=len)] if fitting and "Laptop" not in words else None


def row_steps(row: str) -> int:
    """Optimiser steps of a row of the papers, "NAME:PAIR", over all of its phases."""
    phases = plan(get_config(*row.split(":")))
    return sum(phase.steps for phase in phases if phase.section)


def row_pixels(row: str) -> int:
    """Pixels of the training images that a row of the papers reads, over all of its phases.

    Phases differ: some read the source or the target alone, and LabOR's crops on GTAV are smaller
    than RIPU's images.
    """
    config = get_config(*row.split(":"))
    pixels = {
        domain: config[f"{domain}_batch_size"]
        * math.prod(config.data.augment.crop or config.data[f"{domain}_size"])
        for domain in ("source", "target")
    }
    return sum(
        phase.steps * pixels[domain]
        for phase in plan(config)
        if phase.section
        for domain in KINDS[phase.kind].domains(config, phase)
    )


def step_pixels(case: Case) -> int:
    """Pixels of both domains' images in a step that is timed."""
    return case.batch_size * (math.prod(case.source_size) + math.prod(case.target_size))


def results_table(results: list[Result], device_kind: str) -> str:
    """A Markdown table, a line for each case."""
    peak = peak_teraflops(device_kind)
    heads = ["computation", "labor_jax, s/step", "PyTorch, s/step", "PyTorch / labor_jax"]
    heads += ["TFLOP/step, convolutions", "by XLA's count"]
    heads += ["TFLOP/s"] + (["share of the bf16 peak"] if peak else [])
    heads += ["peak memory, GiB", "PyTorch's"]
    lines = [heads, ["---"] * len(heads)]
    for result in results:
        speed = result.model_flops / min(result.ours) / 1e12
        line = [result.case.dtype, _times(result.ours), _times(result.theirs)]
        line += [f"{result.ratio():.2f}" if result.theirs else "-"]
        line += [f"{result.model_flops / 1e12:.3f}", f"{result.counted_flops / 1e12:.3f}"]
        line += [f"{speed:.3g}"] + ([f"{speed / peak:.1%}"] if peak else [])
        line += [_gibibytes(result.our_peak), _gibibytes(result.their_peak)]
        lines.append(line)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _times(times: list[float]) -> str:
    return f"{statistics.median(times):.4g} (min {min(times):.4g})" if times else "-"


def _gibibytes(count: int | None) -> str:
    return "-" if count is None else f"{count / 2**30:.2f}"


def hours_table(results: list[Result]) -> str:
    """A Markdown table: how long each of the papers' rows trains at the median time of a step.

    Time goes with the pixels that a row reads.
    """
    heads = ["row", "steps", "megapixels a step, mean"]
    heads += [f"hours, {result.case.dtype}" for result in results]
    lines = [heads, ["---"] * len(heads)]
    for row in ROWS:
        count, pixels = row_steps(row), row_pixels(row)
        hours = [
            pixels / step_pixels(result.case) * statistics.median(result.ours) / 3600
            for result in results
        ]
        lines.append(
            [row, f"{count:,}", f"{pixels / count / 1e6:.2f}", *(f"{each:.1f}" for each in hours)]
        )
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    measured = step_pixels(results[0].case) / 1e6
    return (
        f"{table}\n\nHours are computed: the measured step reads {measured:.2f} megapixels, and "
        "each phase takes the same time for each pixel that its own steps read."
    )


def _size(text: str) -> tuple[int, int]:
    try:
        height, width = (int(each) for each in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no HEIGHTxWIDTH, such as 720x1280") from None
    return height, width


def parse_arguments(arguments: list[str] | None, backend: str) -> argparse.Namespace:
    """The arguments, those that were not given from the preset."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=tuple(PRESETS), help="default: what JAX runs on")
    parser.add_argument("--backbone", choices=tuple(LAYOUTS))
    parser.add_argument("--head", choices=("deeplab_v2", "deeplab_v3plus"))
    parser.add_argument("--batch_norm", choices=("trained", "frozen"))
    parser.add_argument("--source_size", type=_size, metavar="HEIGHTxWIDTH")
    parser.add_argument("--target_size", type=_size, metavar="HEIGHTxWIDTH")
    parser.add_argument("--batch_size", type=int, default=2, help="of each domain")
    parser.add_argument("--width", type=int, default=64, help="channels of the first stage")
    parser.add_argument("--head_channels", type=int, default=512, help="of the v3+ head")
    parser.add_argument("--dtype", nargs="+", choices=DTYPES, help="a line of the table for each")
    parser.add_argument("--remat", action="store_true", help="ours with rematerialisation")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, help="in a round; default 10, on a CPU 1")
    parser.add_argument("--threads", type=int, help="of PyTorch on a CPU; default: the usable ones")
    parser.add_argument("--without_torch", action="store_true", help="time ours alone")
    parser.add_argument("--hours", action="store_true", help="add the papers' rows in hours")
    given = parser.parse_args(arguments)
    preset = PRESETS[given.preset or ("gpu" if backend == "gpu" else "cpu")]
    for name, value in preset.items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    given.steps = given.steps or (10 if backend == "gpu" else 1)
    return given


def main(arguments: list[str] | None = None) -> None:
    # Two frameworks share the GPU, so that neither may take all of its memory beforehand.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    backend = jax.default_backend()
    given = parse_arguments(arguments, backend)
    kind = jax.devices()[0].device_kind
    machine = kind
    with_torch, versions = not given.without_torch, f"jax {jax.__version__}"
    if backend == "cpu":
        # XLA has a thread for each core that the process may use.
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        machine = f"{cores} CPU cores"
    if with_torch:
        import torch

        versions += f", torch {torch.__version__}"
        if backend == "cpu":
            torch.set_num_threads(given.threads or cores)
        elif not torch.cuda.is_available():
            raise SystemExit("PyTorch sees no GPU: install its CUDA build, or use --without_torch.")
    print(
        f"{given.backbone}, {given.head}, batch norm {given.batch_norm}; {given.batch_size} source "
        f"images of {_by(given.source_size)}, {given.batch_size} target images of "
        f"{_by(given.target_size)}; {versions} on {machine}"
    )
    shared = {
        field.name: getattr(given, field.name)
        for field in dataclasses.fields(Case)
        if field.name != "dtype"
    }
    results = []
    for dtype in given.dtype:
        results.append(
            measure(
                Case(dtype=dtype, **shared),
                rounds=given.rounds,
                steps_a_round=given.steps,
                device="cuda" if backend == "gpu" else "cpu",
                with_torch=with_torch,
            )
        )
        if backend == "gpu" and with_torch:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
    print()
    print(results_table(results, kind))
    if given.hours:
        print()
        print(hours_table(results))


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


if __name__ == "__main__":
    main()
