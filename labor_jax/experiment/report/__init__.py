"""A run's results for people: the table on the console and `report.html`."""

from labor_jax.experiment.report.run_report import (
    cost_rows,
    run_seconds,
    table_rows,
    text_table,
    write_report,
    write_summary,
)

__all__ = [
    "cost_rows",
    "run_seconds",
    "table_rows",
    "text_table",
    "write_report",
    "write_summary",
]
