"""What the tests share: a run small enough to be made in seconds."""

import gc
import os
import sys
import threading
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]

# The same little programs are compiled by many tests and by the processes that they start.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

# The traceback of each operation took a twentieth of the time.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")

# Much of compiling is LLVM's optimisations, and as much the setting up of MLIR for each fusion; and
# cutting programs into parts that are compiled beside one another costs a tenth, where tests take
# all cores anyway. `XLA_FLAGS= make test` runs with all three, as run_test's run on several devices
# does by its own flags.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false "
    "--xla_cpu_parallel_codegen_split_count=1",
)

# Tracing makes so many objects that Python looked for garbage a tenth of the time.
gc.set_threshold(50_000, 20, 50)

# The whole suite in minutes, on however slow a machine; `--hypothesis-profile=default` looks at 100
# examples of each property.
hypothesis.settings.register_profile("suite", max_examples=25, deadline=None)
hypothesis.settings.load_profile("suite")


def pytest_collection_finish():
    """What is imported by now is no garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def share_mlir_contexts():
    """JAX lowers a hundred programs in one MLIR context, not each in its own.

    To make a context took a quarter of the time of tests that compile many little programs. Each
    context keeps what its programs are made of, so after a hundred there is a new one.
    """
    from jax._src.interpreters import mlir

    make, current = mlir.make_ir_context, threading.local()

    def shared():
        if mlir.ir.Context.current:  # within the lowering of another program
            return make()
        current.count = getattr(current, "count", 0) + 1
        if current.count % 100 == 1:
            current.context = make()
        return current.context

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlir, "make_ir_context", shared)
        yield


@pytest.fixture(autouse=True, scope="module")
def forget_compiled_programs():
    """Each compiled program holds memory maps, of which Linux gives a process 65,530."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()


_BEFORE_ROUNDS = ("supervised", "warmup", "retraining")
_SECTIONS = (*_BEFORE_ROUNDS, "selector", "round", "joint")
_checked = set()  # which sections of configs have terms that passed the check


@pytest.fixture(autouse=True, scope="module")
def share_steps():
    """Runs of one file share their compiled steps and queries, where their configs are equal.

    Half of what a tiny run costs is to trace them: a run, the same interrupted, and its resumption
    would do it three times. A step doesn't depend on the sections of other phases. Terms whose
    shapes were checked are not checked again, in this file or another. Processes that are killed
    and resumed compile their own.
    """
    session = sys.modules.get("labor_jax.experiment.session")
    if session is None:
        yield
        return
    from labor_jax import acquisition, adaptation
    from labor_jax.experiment import shape_checks

    built = {}
    once_a_run, check_section = session.Session.once, shape_checks._check_section

    def of(components, section="", joint=False):
        """What a step of a section depends on; without one, all that anything may depend on."""
        pair, config = components.pair, components.config.to_dict()
        config.pop("checkpoint_every")  # no step depends on it
        if section:
            kept = {section, "joint"} if joint else {section}
            for other in set(_SECTIONS) - kept:
                config.pop(other)
        if section in _BEFORE_ROUNDS:
            for later in ("acquisition", "method", "rounds"):
                config.pop(later)
        return (
            repr(config),
            components.segmenter,
            components.mesh,
            pair.classes,
            *(split and tuple(split.names) for split in (pair.source, pair.pool)),
            *(tuple(registered.items()) for registered in (adaptation.TERMS, acquisition.METHODS)),
        )

    def once(self, name, build):
        kind, *phase = name if isinstance(name, tuple) else (name,)
        if kind == "kept":  # found in the run's own images
            return once_a_run(self, name, build)
        key = (*of(self.components, *(phase if kind == "step" else ())), name)
        if key not in built:
            built[key] = build()
        return built[key]

    def check_once(components, phase, stand_ins):
        key = (*of(components, phase.section, phase.joint), phase.kind)
        if key not in _checked:
            check_section(components, phase, stand_ins)
            _checked.add(key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session.Session, "once", once)
        patch.setattr(shape_checks, "_check_section", check_once)
        yield


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The package as somebody has it who installed the wheel, see `tests.installed`."""
    from tests.installed import Installed

    return Installed(tmp_path_factory.mktemp("installed"))


@pytest.fixture(autouse=True, scope="module")
def blank_charts(request):
    """Only the tests of reports draw charts: they take a fifth of a second of each run."""
    if "report" in request.path.as_posix() or "labor_jax" not in sys.modules:
        yield
        return
    from labor_jax.experiment.report import charts

    with pytest.MonkeyPatch.context() as patch:
        for name in ("line_chart", "bar_chart", "matrix_chart"):
            patch.setattr(charts, name, lambda *_, **__: "<svg></svg>")
        yield
