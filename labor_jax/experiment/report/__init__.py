"""A run's results for people: the table on the console and `report.html`."""

from labor_jax.experiment.report.run_report import write_report, write_summary
from labor_jax.experiment.report.stages import table_rows, text_table, where_it_is

__all__ = ["table_rows", "text_table", "where_it_is", "write_report", "write_summary"]
