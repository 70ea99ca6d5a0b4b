"""How the run was made: settings, seed, device, hours, versions."""

import json

from labor_jax.config import base_config
from labor_jax.experiment import amounts
from labor_jax.experiment.report import page
from labor_jax.experiment.report.page import Html
from labor_jax.experiment.report.run_files import RunFiles
from labor_jax.experiment.workdir import differing_fields, effective_fields


def section(run: RunFiles) -> Html:
    """The section of the page."""
    summary = run.summary
    facts = [
        ("method", summary["method"]),
        ("data pair", summary["pair"]),
        ("seed", str(summary["seed"])),
        ("device", summary.get("device") or "unknown"),
        ("computing time", amounts.duration(summary["wall_seconds"])),
        *(
            (f"… of round {entry['round']}", amounts.duration(entry["wall_seconds"]))
            for entry in summary["rounds"]
            if "wall_seconds" in entry
        ),
        *((name, version) for name, version in summary.get("versions", {}).items()),
    ]
    fields = effective_fields(run.config)
    changed = differing_fields(json.loads(base_config().to_json()), fields)
    rows = [
        (name, json.dumps(value))
        for name, (_, value) in changed.items()
        if not name.startswith("terms.") or value is not None
    ]
    whole = json.dumps(run.config, indent=2, sort_keys=True)
    return page.section(
        "How it was made",
        page.table(("", ""), facts, words=(0, 1)),
        page.folded(
            f"The {len(rows)} settings that differ from the package's defaults",
            page.table(("field of the config", "value"), rows, words=(0, 1)),
        ),
        page.folded("The whole config", Html(f"<pre>{page.escaped(whole)}</pre>\n")),
    )
