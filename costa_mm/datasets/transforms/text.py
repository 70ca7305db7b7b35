# Copyright (c) costa_mm authors. All rights reserved.
"""Words of a sentence."""
import re
from typing import Dict

from costa_mm.registry import TRANSFORMS
from .base import ClipTransform

MIRROR_WORDS = (
    ('left', 'right'),
    ('lefts', 'rights'),
    ('leftmost', 'rightmost'),
    ('leftward', 'rightward'),
    ('leftwards', 'rightwards'),
    ('lefthand', 'righthand'),
    ('lefty', 'righty'),
    ('clockwise', 'counterclockwise'),
    ('clockwise', 'anticlockwise'),
)


def _table() -> Dict[str, str]:
    table: Dict[str, str] = {}
    for one, other in MIRROR_WORDS:
        table.setdefault(one, other)
        table[other] = one
    return table


_MIRROR = _table()
_PATTERN = re.compile(
    r'\b(counter-clockwise|anti-clockwise|' +
    '|'.join(sorted(_MIRROR, key=len, reverse=True)) + r')\b', re.IGNORECASE)


def mirror_words(sentence: str) -> str:
    """The sentence that describes the mirrored video.

    Left and right change places, and so do the directions of a turn.  Upper
    case stays.  Mirroring twice gives the sentence back (spellings of
    'counterclockwise' become that one).

    Args:
        sentence (str): Any sentence.

    Returns:
        str: With the words exchanged.
    """

    def exchange(match: 're.Match') -> str:
        word = match.group()
        new = _MIRROR[word.lower().replace('-', '')]
        if word.isupper():
            return new.upper()
        return new.capitalize() if word[0].isupper() else new

    return _PATTERN.sub(exchange, sentence)


@TRANSFORMS.register_module()
class CleanSentence(ClipTransform):
    """Bring a sentence into the form that the published loaders use.

    STCAT lower-cases all sentences and strips the punctuation of VidSTG's.

    Required Keys:

    - sentence

    Modified Keys:

    - sentence

    Args:
        lower (bool): To lower case.
        strip_punctuation (bool): Remove everything but letters, digits,
            blanks, hyphens and apostrophes.
    """

    def __init__(self,
                 *,
                 lower: bool = True,
                 strip_punctuation: bool = False) -> None:
        self.lower = lower
        self.strip_punctuation = strip_punctuation

    def transform(self, results: dict) -> dict:
        """Change the sentence; one that would become empty stays."""
        text = results['sentence']
        if self.lower:
            text = text.lower()
        if self.strip_punctuation:
            text = re.sub(r"[^\w\s'-]|_", ' ', text)
        results['sentence'] = ' '.join(text.split()) or results['sentence']
        return results
