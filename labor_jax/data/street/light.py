"""Light and weather: the simulator's noon, and the camera's sun, clouds and dusk."""

import dataclasses

from labor_jax.data.street.dice import Colour, Dice


@dataclasses.dataclass(frozen=True)
class Light:
    """One moment's light, weather and optics.

    Attributes:
      sun: colour of the direct light.
      ambient: colour of the light from everywhere.
      faces: part of the direct light that each `canvas.Face` receives.
      shadow: ground displacement (x, z) in metres of the shadow per metre of height.
      shade: part of the direct light that a shadow takes away; 0 casts none.
      sky_top, sky_low: colours of the sky overhead and at the horizon.
      clouds: strength of the clouds.
      haze: extinction in 1/metres.
      haze_colour: colour of the haze.
      wet: mirror strength of the road.
      lit_windows: part of the windows that glow.
    """

    sun: Colour
    ambient: Colour
    faces: tuple[float, float, float, float]
    shadow: tuple[float, float]
    shade: float
    sky_top: Colour
    sky_low: Colour
    clouds: float
    haze: float
    haze_colour: Colour
    wet: float
    lit_windows: float


def simulator_light(dice: Dice) -> Light:
    """Returns the simulator's only weather: a cloudless noon without shadows."""
    level = dice.uniform(0.86, 1.06)
    pale = dice.uniform(0.0, 0.7)
    return Light(
        sun=(0.40 * level, 0.40 * level, 0.38 * level),
        ambient=(0.62 * level, 0.62 * level, 0.64 * level),
        faces=(0.85, 0.65, 0.75, 1.0),
        shadow=(0.0, 0.0),
        shade=0.0,
        sky_top=(0.30 + 0.36 * pale, 0.56 + 0.2 * pale, 0.95 - 0.06 * pale),
        sky_low=(0.66 + 0.18 * pale, 0.84 + 0.04 * pale, 1.0 - 0.06 * pale),
        clouds=0.0,
        haze=0.0008,
        haze_colour=(0.70, 0.84, 0.98),
        wet=0.0,
        lit_windows=0.0,
    )


def _sunny(dice: Dice) -> Light:
    left = dice.chance(0.5)
    reach = dice.uniform(0.5, 1.6)
    low = dice.uniform(0.0, 1.0)  # 1: late sun, warm
    lateral, depth = (1.0 if left else -1.0) * reach, dice.uniform(-0.7, 0.7)
    blue = dice.uniform(0.0, 1.0)
    return Light(
        sun=(1.00, 0.93 - 0.12 * low, 0.84 - 0.27 * low),
        ambient=(0.46, 0.49, 0.56),
        faces=(0.55 + 0.4 * depth, 0.95 if left else 0.1, 0.1 if left else 0.95, 0.85),
        shadow=(lateral, depth),
        shade=0.9,
        sky_top=(0.42 + 0.1 * blue, 0.58 + 0.06 * blue, 0.82),
        sky_low=(0.86, 0.88 - 0.05 * low, 0.90 - 0.15 * low),
        clouds=dice.uniform(0.1, 0.7),
        haze=dice.uniform(0.002, 0.006),
        haze_colour=(0.80, 0.80 - 0.05 * low, 0.82 - 0.15 * low),
        wet=0.0,
        lit_windows=0.0,
    )


def _overcast(dice: Dice) -> Light:
    sky = dice.uniform(0.74, 0.95)
    tint = dice.uniform(-0.02, 0.03)
    level = dice.uniform(0.85, 1.1)
    return Light(
        sun=(0.25 * level, 0.25 * level, 0.26 * level),
        ambient=(0.76 * level, 0.77 * level, (0.80 + tint) * level),
        faces=(0.5, 0.4, 0.4, 1.0),
        shadow=(0.12, 0.05),
        shade=0.7,
        sky_top=(sky - 0.10, sky - 0.09, sky - 0.07 + tint),
        sky_low=(sky, sky, sky + tint),
        clouds=dice.uniform(0.2, 0.6),
        haze=dice.uniform(0.005, 0.014),
        haze_colour=(sky - 0.04, sky - 0.03, sky - 0.02),
        wet=dice.uniform(0.1, 0.45) if dice.chance(0.5) else 0.0,
        lit_windows=0.05,
    )


def _dusk(dice: Dice) -> Light:
    warm = dice.uniform(0.0, 1.0)
    level = dice.uniform(0.9, 1.2)
    return Light(
        sun=(0.32 * level, 0.20 * level, 0.10 * level),
        ambient=(0.60 * level, 0.54 * level, 0.62 * level),
        faces=(0.3, 0.9, 0.3, 0.5),
        shadow=(0.15, 0.05),
        shade=0.6,
        sky_top=(0.36 + 0.1 * warm, 0.36, 0.52),
        sky_low=(0.82 + 0.1 * warm, 0.60 + 0.05 * warm, 0.52 - 0.1 * warm),
        clouds=dice.uniform(0.2, 0.7),
        haze=dice.uniform(0.004, 0.010),
        haze_colour=(0.58 + 0.1 * warm, 0.50, 0.50),
        wet=dice.uniform(0.0, 0.35),
        lit_windows=0.3,
    )


def camera_light(dice: Dice) -> Light:
    """Returns a light of one of three weathers: sun with shadows, overcast, or dusk."""
    weather = dice.weighted({"sunny": 0.44, "overcast": 0.43, "dusk": 0.13})
    return {"sunny": _sunny, "overcast": _overcast, "dusk": _dusk}[weather](dice)
