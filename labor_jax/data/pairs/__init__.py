"""The package's data pairs, a file for each: its loader and its settings.

Importing this package registers them.
"""

import importlib

for _name in ("street", "camvid", "gtav", "synthia", "folders"):  # the order in error messages
    importlib.import_module(f"{__name__}.{_name}")
