"""The log in a notebook."""

from labor_jax import logs


def show_log() -> None:
    """Shows below the cell what runs log, as the commands do, and little of other packages."""
    logs.configure(force=True)  # Colab and Jupyter have handlers of their own
