"""The package's data pairs, a file for each: its loader and its settings.

Importing this package registers them.
"""

import importlib

_NAMES = (
    "street",
    "camvid",
    "camvid_reverse",
    "camvid_pool",
    "gtav",
    "synthia",
    "folders",
    "photos",
)

for _name in _NAMES:  # the order in error messages
    importlib.import_module(f"{__name__}.{_name}")
