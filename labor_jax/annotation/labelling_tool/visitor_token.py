"""The secret that the labelling tool's visitors must know, as its starter gives it."""

import os
from pathlib import Path

VARIABLE = "LABOR_JAX_TOKEN"
"""The environment variable that may hold it."""


def read(token: str | None, file: str | None) -> str | None:
    """Reads the token that was given.

    Args:
      token: The flag `--token`, or None.
      file: The flag `--token_file`, or None.

    Returns:
      The token of the flags, else that of the environment, else None.

    Raises:
      ValueError: It can't be read, or can't be a token.
    """
    if token is not None and file is not None:
        raise ValueError("Give --token or --token_file, not both.")
    source = "--token"
    if file is not None:
        source = f"--token_file={file}"
        try:
            token = Path(os.path.expanduser(file)).read_text().strip()
        except (OSError, ValueError) as error:
            raise ValueError(f"{source} can't be read: {error}.") from error
    elif token is None:
        source, token = VARIABLE, os.environ.get(VARIABLE)
    if token == "":
        raise ValueError(
            f"{source} is empty; leave it out to have a token generated if it is needed."
        )
    if token is not None and not (token.isascii() and token.isprintable()):
        raise ValueError(f"{source} may only contain printable ASCII characters.")
    return token
