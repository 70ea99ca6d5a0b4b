"""The error of an export."""


class ExportError(ValueError):
    """A model can't be exported, or not to this place.

    The message says what is in the way, and what to do about it.
    """
