"""Settings for data of one's own: chosen from the images, their number and the installed weights.

A pair leaves fields of the config open (None), and `resolve` fills them in once the images' sizes
are known. Fields that a person has set keep their values. Everything here is a pure function of the
config and of `Facts`; the device plays no part, so that a run can be resumed on another.
"""

from labor_jax.data.own_data.facts import Choice, Facts, facts_of
from labor_jax.data.own_data.resolving import open_fields, resolve
from labor_jax.data.own_data.sizes import LONG_SIDE

__all__ = ["LONG_SIDE", "Choice", "Facts", "facts_of", "open_fields", "resolve"]
