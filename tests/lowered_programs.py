"""What programs that JAX has lowered, but not compiled, compute."""

import functools
import re
from collections import Counter

_FUNCTION = re.compile(r"func\.func \w+ @([\w.]+)\(")
_CALL = re.compile(r"\bcall @([\w.]+)\(")
_OPERATION = re.compile(r"= \"?stablehlo\.(\w+)")


def operations(lowered):
    """How often a program does each operation of StableHLO, by its name.

    Equal layers are calls of one function, whose operations count at each call.
    """
    own, calls, name = {}, {}, None
    for line in lowered.as_text().splitlines():
        if found := _FUNCTION.search(line):
            name = found[1]
            own[name], calls[name] = Counter(), Counter()
        elif name:
            own[name].update(_OPERATION.findall(line))
            calls[name].update(_CALL.findall(line))

    @functools.cache
    def count(name):
        total = Counter(own[name])
        for called, times in calls[name].items():
            for operation, often in count(called).items():
                total[operation] += times * often
        return total

    return count("main")
