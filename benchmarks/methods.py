"""Accuracy of every method on one data pair: runs them all and prints a markdown table.

    python benchmarks/methods.py --pair street --seeds 0 1 2
    python benchmarks/methods.py --pair camvid --seeds 0 -- --config.data.root=DIR

All methods of a seed start from one warm-up. Random pixels get SPL's share of the pixels, and once
more PPL's number of points. A run that exists is resumed or read, so the command can be repeated.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(config: str, workdir: Path, arguments: list[str]) -> dict:
    """Runs or resumes one experiment (a finished one at once); returns its summary."""
    command = [sys.executable, "-m", "labor_jax.main", "--config", config]
    print(f"{workdir.name}: {config} {' '.join(arguments)}", file=sys.stderr, flush=True)
    command += ["--workdir", str(workdir), *arguments]
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    return json.loads((workdir / "summary.json").read_text())


def run_seed(pair: str, seed: int, folder: Path, extra: list[str]) -> dict[str, dict]:
    """All methods of one seed: name to summary."""

    def method(name: str, config: str, *arguments: str) -> dict:
        arguments = [f"--config.seed={seed}", *arguments, *extra]
        return run(f"configs/{config}.py:{pair}", folder / f"{name}_{seed}", arguments)

    summaries = {"warm-up": method("warmup", "warmup")}
    start = f"--config.warm_start={folder / f'warmup_{seed}'}"
    for name in ("supervised", "spl", "ppl"):
        summaries[name] = method(name, name, start)
    share = summaries["spl"]["rounds"][-1]["labelled_fraction"]
    ppl = summaries["ppl"]["rounds"]
    points = round(ppl[-1]["pixels_per_image"] / len(ppl))
    summaries["random, PPL's points"] = method(
        "random_points", "random", start, f"--config.acquisition.points={points}"
    )
    summaries["random, SPL's share"] = method(
        "random_share", "random", start, f"--config.acquisition.fraction={share:.6f}"
    )
    return summaries


def rows(seeds: list[dict[str, dict]]) -> list[tuple[str, list[float], list[float], list[float]]]:
    """Name, then per seed: labelled share, pixels an image, mIoU."""
    nothing = [0.0] * len(seeds)
    source_only = [seed["warm-up"]["source_only_miou"] for seed in seeds]
    warm = [seed["warm-up"]["final_miou"] for seed in seeds]
    table = [("source_only", nothing, nothing, source_only), ("warmup", nothing, nothing, warm)]
    for name in ("random, PPL's points", "ppl", "random, SPL's share", "spl", "supervised"):
        last = [seed[name]["rounds"][-1] for seed in seeds]
        table.append(
            (
                name,
                [entry["labelled_fraction"] for entry in last],
                [entry["pixels_per_image"] for entry in last],
                [entry["miou"] for entry in last],
            )
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pair", default="street")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--output", type=Path, default=None, help="folder of the runs")
    parser.add_argument("extra", nargs="*", help="further flags of labor_jax.main, after --")
    arguments = parser.parse_args()
    folder = (arguments.output or ROOT / "runs" / f"methods_{arguments.pair}").resolve()
    seeds = [run_seed(arguments.pair, seed, folder, arguments.extra) for seed in arguments.seeds]
    supervised = [seed["supervised"]["final_miou"] for seed in seeds]
    names = " | ".join(f"seed {seed}" for seed in arguments.seeds)
    print(f"| method | labelled | pixels/image | {names} | mean | of supervised |")
    print("|---|---:|---:|" + "---:|" * (len(seeds) + 2))
    for name, shares, pixels, miou in rows(seeds):
        ratio = statistics.mean(m / s for m, s in zip(miou, supervised, strict=True))
        each = " | ".join(f"{100 * value:.1f}" for value in miou)
        print(
            f"| {name} | {100 * statistics.mean(shares):.2f}% | {statistics.mean(pixels):.0f} | "
            f"{each} | {100 * statistics.mean(miou):.1f} | {100 * ratio:.1f}% |"
        )


if __name__ == "__main__":
    main()
