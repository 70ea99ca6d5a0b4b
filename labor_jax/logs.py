"""What a person sees of the log: the package's own lines, and little of other packages'."""

import logging
import sys


def configure(*, force: bool = False) -> None:
    """Shows the package's messages on standard error, each with the time of day.

    Args:
      force: whether to replace the handlers that there are.
    """
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
        force=force,
    )
    # Orbax logs every file that it writes, and each error again for each thread that it passed.
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    # JAX logs every kind of device that it looked for and did not find, and its cache of programs.
    logging.getLogger("jax").setLevel(logging.WARNING)
