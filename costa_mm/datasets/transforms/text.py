# Copyright (c) costa_mm authors. All rights reserved.
"""Words of a sentence."""
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Dict, Mapping, Optional, Union

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
)


def _table() -> Dict[str, str]:
    table: Dict[str, str] = {}
    for one, other in MIRROR_WORDS:
        table.setdefault(one, other)
        table[other] = one
    return table


_MIRROR = _table()
# in one word, or in several with blanks or hyphens of any kind between them
_BREAK = r'[\s_\-\u2010\u2011]*'
_TURN = rf'clock{_BREAK}wise\b'
_AGAINST = re.compile(rf'\b(?:counter|anti){_BREAK}(?={_TURN})',
                      re.IGNORECASE)
_PATTERN = re.compile(
    rf'{_AGAINST.pattern}{_TURN}|\b{_TURN}|\b(?:' +
    '|'.join(sorted(_MIRROR, key=len, reverse=True)) + r')\b', re.IGNORECASE)


def mirror_words(sentence: str) -> str:
    """The sentence that describes the mirrored video.

    Left and right change places, and so do the directions of a turn.  Upper
    case stays.  Mirroring twice gives the sentence back (spellings of
    'counterclockwise' become that one, or the one that the sentence has).

    Args:
        sentence (str): Any sentence.

    Returns:
        str: With the words exchanged.
    """

    def exchange(match: 're.Match') -> str:
        word = match.group()
        new = _MIRROR.get(word.lower()) or _other_turn(word, sentence).lower()
        if word.isupper():
            return new.upper()
        return new.capitalize() if word[0].isupper() else new

    return _PATTERN.sub(exchange, sentence)


def _other_turn(turn: str, sentence: str) -> str:
    """The other direction, spelt as the sentence spells it elsewhere."""
    with_clock = _AGAINST.sub('', turn)
    if with_clock != turn:
        return with_clock
    known = _AGAINST.search(sentence)
    # 'clock wise' is spelt in several words, so is 'counter clock wise'
    return (known.group() if known else 'counter' + turn[5:-4]) + turn


@lru_cache(maxsize=1)
def vidstg_words() -> Dict[str, str]:
    """STCAT's corrections of words in VidSTG's sentences, lower case.

    Spelling mistakes, words that were joined, colours by their CSS names; 93
    words of the 8,956 validation sentences.  From ``datasets/words.py`` of
    github.com/jy0205/STCAT (MIT licence).
    """
    return json.loads(
        Path(__file__).with_name('vidstg_words.json').read_text())


@TRANSFORMS.register_module()
class CleanSentence(ClipTransform):
    """Bring a sentence into the form that the published loaders use.

    STCAT lower-cases all sentences, strips the punctuation of VidSTG's and
    corrects their words.

    Required Keys:

    - sentence

    Modified Keys:

    - sentence

    Args:
        lower (bool): To lower case.
        strip_punctuation (bool): Remove everything but letters, digits,
            blanks, hyphens and apostrophes.
        corrections (dict or str, optional): Words to replace and what by, or
            'vidstg' for :func:`vidstg_words`.  They are looked up in lower
            case, before the punctuation goes: a table may know "next_to".

    Raises:
        ValueError: If there is no table of that name.
    """

    def __init__(self,
                 *,
                 lower: bool = True,
                 strip_punctuation: bool = False,
                 corrections: Union[Mapping[str, str], str, None] = None
                 ) -> None:
        if isinstance(corrections, str) and corrections != 'vidstg':
            raise ValueError('corrections must be a dict or "vidstg", not '
                             f'"{corrections}"')
        self.lower = lower
        self.strip_punctuation = strip_punctuation
        self.corrections = corrections

    @property
    def table(self) -> Optional[Mapping[str, str]]:
        """Words to replace, if there are any."""
        return vidstg_words() if isinstance(self.corrections,
                                            str) else self.corrections

    def transform(self, results: dict) -> dict:
        """Change the sentence; one that would become empty stays."""
        text = results['sentence']
        if self.lower:
            text = text.lower()
        table = self.table
        if table:
            text = re.sub(
                r'\w+', lambda m: table.get(m[0].lower(), m[0]), text)
        if self.strip_punctuation:
            text = re.sub(r"[^\w\s'-]|_", ' ', text)
        results['sentence'] = ' '.join(text.split()) or results['sentence']
        return results
