"""What a config names: data, modules and first variables, built and checked once."""

import dataclasses
import functools
import zlib
from collections.abc import Callable, Collection
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from ml_collections import ConfigDict

from labor_jax import models
from labor_jax.data import ROLES, Pair, class_balance, load_pair
from labor_jax.evaluation import evaluator
from labor_jax.evaluation.inference import Inference
from labor_jax.training import accumulation, loop
from labor_jax.training import mesh as mesh_lib


@dataclasses.dataclass(frozen=True)
class Components:
    """The parts of a run.

    Attributes:
      config: the run's.
      pair: source, pool and evaluation split.
      mesh: the devices, see `mesh.devices_for`.
      segmenter: backbone and classifier, with the auxiliary one if the warm-up has two levels;
        training it updates batch norm as the config says.
      frozen_segmenter: the same with frozen batch norm, for the pixel selector.
      discriminator: AdaptSegNet's, one module for the parameters of each level's.
      inference: how predictions are made for evaluation, pictures and people; its windows are those
        of scoring the pool, too.
      accumulation: into how many pieces a device cuts its part of a batch.
    """

    config: ConfigDict
    pair: Pair
    mesh: Mesh
    segmenter: models.Segmenter
    frozen_segmenter: models.Segmenter
    discriminator: models.Discriminator
    inference: Inference
    accumulation: int

    @functools.cached_property
    def source_presence(self) -> np.ndarray | None:
        """Which source image holds which class, bool[N, C]; None without data.balance_source.

        Raises:
          DataError: a label of the source cannot be read.
        """
        data = self.config.data
        if not data.balance_source:
            return None
        return class_balance.read_presence(
            self.pair.source,
            self.pair.num_classes,
            cache_folder=data.cache_folder,
            num_threads=data.num_threads,
            progress=functools.partial(
                loop.progress_bar, desc="classes of the source", unit="label"
            ),
        )


def build(
    config: ConfigDict, pair: Pair | None = None, *, roles: Collection[str] = ROLES
) -> Components:
    """Builds the modules and loads (and checks) the data.

    Args:
      config: see configs/common.py.
      pair: data that stands in for what `config.pair` names.
      roles: the splits to read; the others are None.

    Raises:
      DataError, ValueError: from the data or the model's config.
    """
    pair = pair if pair is not None else load_pair(config.pair, config.data, roles)
    batch_sizes = [
        config[field]
        for field in ("source_batch_size", "target_batch_size", "evaluation_batch_size")
    ]
    mesh = mesh_lib.device_mesh(mesh_lib.devices_for(batch_sizes))
    frozen = ConfigDict({**config.model.to_dict(), "batch_norm": "frozen"})
    return Components(
        config=config,
        pair=pair,
        mesh=mesh,
        segmenter=models.build_segmenter(
            config.model,
            pair.num_classes,
            axis_name=mesh_lib.BATCH_AXIS,
            auxiliary=config.warmup.two_levels and config.warmup.steps > 0,
        ),
        frozen_segmenter=models.build_segmenter(frozen, pair.num_classes),
        discriminator=models.Discriminator(width=config.warmup.discriminator_width),
        inference=Inference(
            flip=config.evaluation_flip,
            scales=tuple(config.evaluation_scales),
            window=config.evaluation_window and tuple(config.evaluation_window),
            overlap=config.evaluation_overlap,
        ),
        accumulation=accumulation.pieces_for(
            {name: config[name] for name in ("source_batch_size", "target_batch_size")},
            devices=mesh.size,
            per_device=config.per_device_batch_size,
            at_least=config.gradient_accumulation,
        ),
    )


def initial_variables(parts: Components) -> dict[str, Any]:
    """The model's and the discriminators' variables before the first step, without file access."""
    key = phase_key(parts.config.seed, "initial")
    model_key, discriminator_key = jax.random.split(key)
    size = tuple(parts.config.data.target_size or (64, 64))
    maps = jax.ShapeDtypeStruct((1, *size, parts.pair.num_classes), "float32")

    @jax.jit
    def discriminators(key):
        # XLA's own generator, as for the model: threefry takes seconds to compile on a CPU.
        key = jax.random.wrap_key_data(jax.random.bits(key, (4,), "uint32"), impl="rbg")
        drawn = {"classifier": parts.discriminator.lazy_init(key, maps)["params"]}
        if parts.segmenter.auxiliary is not None:
            key = jax.random.fold_in(key, 1)
            drawn["auxiliary"] = parts.discriminator.lazy_init(key, maps)["params"]
        return drawn

    return {
        "model": models.init_variables(parts.segmenter, model_key, size),
        "discriminator": discriminators(discriminator_key),
    }


def load_pretrained(parts: Components, variables: dict[str, Any]) -> dict[str, Any]:
    """The variables with the weights that `config.model.pretrained` names, if any.

    Raises:
      WeightsError: see `models.load_model`.
    """
    source = parts.config.model.pretrained
    if not source:
        return variables
    return {**variables, "model": models.load_model(source, parts.segmenter, variables["model"])}


def make_evaluation(parts: Components) -> Callable[[Any], evaluator.Evaluation]:
    """Compiles the evaluation that the config describes: from a model's variables to its result."""
    evaluate = evaluator.make_evaluator(
        parts.frozen_segmenter,
        parts.pair.classes,
        parts.mesh,
        class_subsets=parts.pair.class_subsets,
        inference=parts.inference,
    )

    def evaluate_model(model: Any) -> evaluator.Evaluation:
        return evaluate(
            mesh_lib.replicate(model, parts.mesh),
            parts.pair.evaluation,
            batch_size=parts.config.evaluation_batch_size,
            size=parts.config.data.evaluation_size,
            num_threads=parts.config.data.num_threads,
        )

    return evaluate_model


def phase_key(seed: int, name: str) -> jax.Array:
    """A random key that depends on the run's seed and the phase's name alone."""
    return jax.random.fold_in(jax.random.key(seed), data_seed(0, name))


def data_seed(seed: int, name: str) -> int:
    """An integer below 2^31 that depends on its arguments alone, for host-side randomness."""
    return zlib.crc32(f"{seed}/{name}".encode()) & 0x7FFFFFFF
