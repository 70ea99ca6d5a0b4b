"""RIPU's training step written plainly in PyTorch, for `train_step.py` to compare with.

The network in channels_last memory with the names of RIPU's checkpoints, so that
`labor_jax.models.to_torch` gives its weights; convolutions under autocast where the computation is
bfloat16; `torch.optim.SGD` with a group for the head.
"""

from __future__ import annotations

import contextlib

import torch
from torch import nn
from torch.nn import functional

from labor_jax.models.backbones.resnet import LAYOUTS
from labor_jax.models.normalization import IMAGENET_MEAN, IMAGENET_STD

RATES = (6, 12, 18, 24)
IGNORE_LABEL = 255


class FrozenBatchNorm(nn.Module):
    """Batch norm by constants; the variances have their epsilon in them."""

    def __init__(self, channels: int):
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.ones(channels))

    def forward(self, x):
        statistics = self.running_mean, self.running_var, self.weight, self.bias
        return functional.batch_norm(x, *statistics, training=False, eps=1e-12)  # 0 is refused


class Block(nn.Module):
    """A residual block of torchvision's ResNets."""

    def __init__(self, inputs, width, stride, first_dilation, dilation, bottleneck, norm):
        super().__init__()
        outputs = 4 * width if bottleneck else width
        if bottleneck:
            layers = [
                (inputs, width, 1, 1, 1),
                (width, width, 3, stride, first_dilation),
                (width, outputs, 1, 1, 1),
            ]
        else:
            layers = [
                (inputs, width, 3, stride, first_dilation),
                (width, width, 3, 1, dilation),
            ]
        self.count = len(layers)
        for number, (before, after, kernel, step, rate) in enumerate(layers, start=1):
            padding = rate * (kernel // 2)
            filters = nn.Conv2d(before, after, kernel, step, padding, rate, bias=False)
            setattr(self, f"conv{number}", filters)
            setattr(self, f"bn{number}", norm(after))
        self.downsample = None
        if stride != 1 or inputs != outputs:
            filters = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(filters, norm(outputs))

    def forward(self, x):
        residual = x if self.downsample is None else self.downsample(x)
        for number in range(1, self.count + 1):
            x = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x))
            if number < self.count:
                x = functional.relu(x, inplace=True)
        return functional.relu(x + residual, inplace=True)


class Backbone(nn.Module):
    """A ResNet whose last two stages are dilated: output stride 8."""

    def __init__(self, layout: str, width: int, norm):
        super().__init__()
        bottleneck, counts = LAYOUTS[layout]
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = norm(width)
        inputs = width
        for stage, (count, stride, first, dilation) in enumerate(
            zip(counts, (1, 2, 1, 1), (1, 1, 1, 2), (1, 1, 2, 4), strict=True)
        ):
            planes, blocks = width * 2**stage, []
            for index in range(count):
                rates = (dilation if index else first), dilation
                step = 1 if index else stride
                blocks.append(Block(inputs, planes, step, *rates, bottleneck, norm))
                inputs = planes * (4 if bottleneck else 1)
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.low_channels = width * (4 if bottleneck else 1)
        self.high_channels = inputs

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        low = self.layer1(functional.max_pool2d(x, 3, 2, 1))
        return low, self.layer4(self.layer3(self.layer2(low)))


class DeepLabV2(nn.Module):
    """The sum of four dilated convolutions."""

    def __init__(self, channels: int, num_classes: int):
        super().__init__()
        self.conv2d_list = nn.ModuleList(
            nn.Conv2d(channels, num_classes, 3, 1, rate, rate) for rate in RATES
        )

    def forward(self, low, high):
        return sum(filters(high).float() for filters in self.conv2d_list)


class Separable(nn.Module):
    """A depthwise 3x3 and a 1x1 convolution, each with batch norm and ReLU."""

    def __init__(self, inputs, outputs, dilation, norm):
        super().__init__()
        self.depthwise_conv = nn.Conv2d(
            inputs, inputs, 3, 1, dilation, dilation, groups=inputs, bias=False
        )
        self.depthwise_bn = norm(inputs)
        self.pointwise_conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.pointwise_bn = norm(outputs)

    def forward(self, x):
        x = functional.relu(self.depthwise_bn(self.depthwise_conv(x)), inplace=True)
        return functional.relu(self.pointwise_bn(self.pointwise_conv(x)), inplace=True)


class DeepLabV3Plus(nn.Module):
    """RIPU's depthwise separable head, without dropout."""

    def __init__(self, low: int, high: int, channels: int, num_classes: int, norm):
        super().__init__()

        def convolution(inputs, outputs, size=1):
            filters = nn.Conv2d(inputs, outputs, size, 1, size // 2, bias=False)
            return filters, norm(outputs), nn.ReLU(inplace=True)

        self.parallel_branches = nn.ModuleList(
            [nn.Sequential(*convolution(high, channels))]
            + [Separable(high, channels, rate, norm) for rate in RATES[:3]]
        )
        self.global_branch = nn.Sequential(nn.AdaptiveAvgPool2d(1), *convolution(high, channels))
        self.bottleneck = nn.Sequential(*convolution(5 * channels, channels, 3))
        self.shortcut = nn.Sequential(*convolution(low, 48))
        self.decoder = nn.Sequential(
            Separable(channels + 48, channels, 1, norm),
            Separable(channels, channels, 1, norm),
            nn.Identity(),
            nn.Conv2d(channels, num_classes, 1),
        )

    def forward(self, low, high):
        branches = [branch(high) for branch in self.parallel_branches]
        branches.append(self.global_branch(high).expand(-1, -1, *high.shape[2:]))
        x = upsample(self.bottleneck(torch.cat(branches, 1)), low.shape[2:])
        return self.decoder(torch.cat([x, self.shortcut(low)], 1)).float()


class Network(nn.Module):
    """Images to logits, with the names of RIPU's checkpoints."""

    def __init__(self, *, backbone, width, head, head_channels, num_classes, frozen):
        super().__init__()
        norm = FrozenBatchNorm if frozen else nn.BatchNorm2d
        self.feature_extractor = nn.Module()
        self.feature_extractor.backbone = features = Backbone(backbone, width, norm)
        if head == "deeplab_v2":
            self.classifier = DeepLabV2(features.high_channels, num_classes)
        else:
            sizes = features.low_channels, features.high_channels, head_channels
            self.classifier = DeepLabV3Plus(*sizes, num_classes, norm)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)

    def forward(self, images, autocast):
        """Float32 logits [B, C, H, W] of uint8 [B, 3, H, W]; `autocast` gives a context."""
        with autocast():
            x = (images.float() / 255.0 - self.mean) / self.std
            low, high = self.feature_extractor.backbone(x)
            logits = self.classifier(low, high)
        return upsample(logits, images.shape[2:])


def upsample(x, size):
    return functional.interpolate(x, size, mode="bilinear", align_corners=True)


def local_consistency(logits, labels):
    """`labor_jax.losses.local_consistency` of [B, C, H, W] and [B, H, W]."""
    numbers = functional.pad(labels[:, None].float(), (1, 1, 1, 1), mode="replicate")
    largest = functional.max_pool2d(numbers, 3, 1)[:, 0]
    smallest = -functional.max_pool2d(-numbers, 3, 1)[:, 0]
    counted = (largest != smallest) & (labels != IGNORE_LABEL)
    probabilities = functional.softmax(logits, 1)
    padded = functional.pad(probabilities, (1, 1, 1, 1), mode="replicate")
    distances = (probabilities - functional.avg_pool2d(padded, 3, 1)).abs().sum(1)
    return (distances * counted).sum() / counted.sum()


def negative_learning(logits, threshold=0.05):
    """`labor_jax.losses.negative_learning` of [B, C, H, W]."""
    probabilities = functional.softmax(logits, 1)
    counted = probabilities.detach() < threshold
    return (-torch.log(1.0 - probabilities + 1e-6) * counted).sum() / counted.sum()


class TorchStep:
    """The whole step on one device.

    Attributes:
      network: the `Network`.
      device: "cpu" or "cuda".
    """

    def __init__(self, tensors, *, network, device, dtype, weights, optimizer):
        """Builds the step.

        Args:
          tensors: NumPy arrays from `labor_jax.models.to_torch`, layout "ripu".
          network: the arguments of `Network`.
          device: "cpu" or "cuda".
          dtype: "float32", "tf32" or "bfloat16".
          weights: the loss's weights by the terms' names.
          optimizer: `learning_rate`, `steps`, `power`, `momentum`, `weight_decay`,
            `head_multiplier`.
        """
        self.device = device
        self._weights = weights
        self._optimizer_settings = optimizer
        self._bfloat16 = dtype == "bfloat16"
        self._precision = "highest" if dtype == "float32" else "high"
        if device == "cuda":
            torch.backends.cudnn.benchmark = True
        self.network = Network(**network).to(device, memory_format=torch.channels_last)
        state = {name: torch.from_numpy(value.copy()) for name, value in tensors.items()}
        self.network.load_state_dict(state, strict=True)
        self.network.train()
        rates = {"feature_extractor": 1.0, "classifier": optimizer.head_multiplier}
        self._optimizer = torch.optim.SGD(
            [
                {"params": list(getattr(self.network, part).parameters()), "multiplier": multiplier}
                for part, multiplier in rates.items()
            ],
            lr=optimizer.learning_rate,
            momentum=optimizer.momentum,
            weight_decay=optimizer.weight_decay,
        )
        self._taken = 0

    def batch(self, batch):
        """A batch as `labor_jax` takes it, on the device."""
        return {
            name: (
                torch.from_numpy(domain["image"]).to(self.device).permute(0, 3, 1, 2),
                torch.from_numpy(domain["label"]).long().to(self.device),
            )
            for name, domain in batch.items()
        }

    def _autocast(self):
        if self._bfloat16:
            return torch.autocast(self.device, torch.bfloat16)
        return contextlib.nullcontext()

    def __call__(self, batch):
        """Takes a step; returns the loss's terms, tensors on the device."""
        if self.device == "cuda":
            # Process-wide settings, so set for each call: steps of other dtypes may come between.
            torch.backends.cudnn.allow_tf32 = self._precision == "high"
            torch.backends.cuda.matmul.allow_tf32 = self._precision == "high"
        settings = self._optimizer_settings
        rate = settings.learning_rate * (1 - self._taken / settings.steps) ** settings.power
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["multiplier"]
        source, source_labels = batch["source"]
        target, target_labels = batch["target"]
        source_logits = self.network(source, self._autocast)
        target_logits = self.network(target, self._autocast)
        cross_entropy = nn.CrossEntropyLoss(ignore_index=IGNORE_LABEL)
        terms = {
            "source_labels": cross_entropy(source_logits, source_labels),
            "answers": cross_entropy(target_logits, target_labels),
            "local_consistency": local_consistency(source_logits, source_labels),
            "negative_learning": negative_learning(target_logits),
        }
        loss = sum(self._weights[name] * term for name, term in terms.items())
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        self._taken += 1
        return {name: term.detach() for name, term in terms.items()}

    def wait(self) -> None:
        """Waits for the device."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def parameters(self):
        """{name: NumPy array} of what the optimiser moves."""
        return {name: p.detach().cpu().numpy() for name, p in self.network.named_parameters()}

    def peak_bytes(self) -> int | None:
        """Most bytes of a GPU's memory held at once; None on a CPU, which PyTorch doesn't count."""
        return torch.cuda.max_memory_allocated() if self.device == "cuda" else None
