"""Tables of runs, and markdown tables taken apart."""

from labor_jax.experiment.report import comparable_runs, comparison_text, results


def compare(*workdirs):
    """The table of some workdirs."""
    return comparable_runs.compare([results.read(workdir) for workdir in workdirs])


def cells(line):
    """The cells of a line of a markdown table."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def lines(table):
    """The cells of each line of a table as markdown: the header, the rule, the rows."""
    return [cells(line) for line in comparison_text.markdown(table).splitlines()]
