"""What names of folders and files say about what is in them."""

from __future__ import annotations

import re

_NOT_LETTER_BEFORE, _NOT_LETTER_AFTER = r"(?<![a-z])", r"(?![a-z])"


def _word(*words: str) -> str:
    return f"{_NOT_LETTER_BEFORE}({'|'.join(words)}){_NOT_LETTER_AFTER}"


_LABELS = re.compile(
    rf"(?<!un)label|mask|annot(?:ation)?|segment(?:ation)?|ground.?truth|gtfine|gtcoarse|trainid"
    rf"|{_word('gt', 'seg', 'semantic', 'truth')}"
)
_LABEL_ENDING = re.compile(rf"{_LABELS.pattern}|{_word('l', 'colou?r', 'ids', 'palette', 'p')}")
_PHOTOS = re.compile(
    r"image|leftimg|photo|frame|picture"
    rf"|{_word('imgs?', 'rgb', 'jpe?gs?', 'jpegimages', 'pics', 'camera')}"
)
_WORDS_OF_ROLE = {
    "source": re.compile(rf"source|simul|synth|render|virtual|{_word('sim', 'gtav?', 'game')}"),
    "pool": re.compile(rf"pool|target|unlabel|{_word('real', 'photos?')}"),
    "evaluation": re.compile(rf"eval|holdout|{_word('val', 'valid', 'validation', 'test')}|^test"),
    "train": re.compile(r"train(?!id)"),
}


def says_labels(name: str) -> bool:
    """Whether a folder's name is one for labels ("masks", "gtFine", "train_labels")."""
    return bool(_LABELS.search(name.lower()))


def says_photos(name: str) -> bool:
    """Whether a folder's name is one for photos ("images", "leftImg8bit")."""
    return not says_labels(name) and bool(_PHOTOS.search(name.lower()))


def ending_may_say_labels(ending: str) -> bool:
    """Whether the ending of file names may be one of labels ("_mask", "_L", "_gtFine_color")."""
    return bool(_LABEL_ENDING.search(ending.lower()))


def roles(path: str) -> set[str]:
    """Returns which of source, pool, evaluation and train the words in a folder's path mean."""
    parts = path.lower().split("/")
    return {
        role for role, words in _WORDS_OF_ROLE.items() if any(words.search(part) for part in parts)
    }


def is_split(name: str) -> bool:
    """Whether a folder's name is that of a split ("train", "val", "target")."""
    return bool(roles(name))


def without_kind(path: str) -> str:
    """Returns a folder's path without the words for photos or labels, to compare two of them."""
    text = path.lower()
    for words in (_LABELS, _PHOTOS):
        text = words.sub("", text)
    return "/".join(filter(None, (part.strip("_-. s") for part in text.split("/"))))
