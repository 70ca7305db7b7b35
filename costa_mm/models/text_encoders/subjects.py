# Copyright (c) costa_mm authors. All rights reserved.
"""Whom or what a sentence is about: a parser of a few rules.

Sentences of spatio-temporal grounding are short and begin, nearly all of
them, with their subject.  The rules, in this order:

1. Words are lower-cased; punctuation ends a phrase.
2. The sentence is cut into phrases at determiners, prepositions, auxiliaries,
   relative pronouns, conjunctions, adverbs and words in -ing.
3. A phrase behind a preposition is no subject ("in the room, the man ...").
4. Of the first phrase left, the last word that is a known noun is the
   subject; in "the man walks" that is "man".
5. Without a known noun it is the last word of that phrase, unless this looks
   like a verb ("the red square moves": a word in -s that is not the only
   one), in which case it is the word before it.
6. A question word is no subject: "who is holding the dog" has none.
"""
import re
from typing import List

_DETERMINERS = frozenset(
    'a an the this that these those his her its their my our your one some '
    'another each every other first second third last there'.split())
_PREPOSITIONS = frozenset(
    'in on at to from of with without by near behind before after beside '
    'besides beneath under below above over inside outside into onto toward '
    'towards through across along around between among against next off out '
    'up down away for about like during opposite past upon'.split())
_BREAKS = frozenset(
    'is are was were be been being has have had does do did will would can '
    'could who whom whose which what where when why how while and or but '
    'then as than so if because not no left right forward backward back '
    'here he she it they him them himself herself'.split())
_ING_NOUNS = frozenset('king ring thing string wing building clothing '
                       'ceiling earring painting'.split())
_NOUNS = frozenset(
    # people, as HC-STVG and VidSTG name them
    'man men woman women boy boys girl girls child children kid kids baby '
    'babies adult adults person people lady ladies gentleman guy guys male '
    'female boss doctor nurse soldier soldiers officer policeman policewoman '
    'police waiter waitress driver student teacher worker player dancer '
    'singer king queen bride groom father mother son daughter brother sister '
    'wife husband friend stranger monk priest guard old '
    # objects of VidOR
    'aircraft antelope ball seat walker backpack bat bear bench bicycle bike '
    'bird bottle bread bus truck cake camel camera car cat cattle cow '
    'cellphone phone chair chicken crab crocodile cup dish dog duck fan '
    'elephant faucet fish fruit fruits frisbee guitar hamster rat handbag '
    'horse kangaroo laptop leopard lion microwave motorcycle oven panda '
    'penguin piano pig rabbit racket refrigerator scooter screen monitor '
    'sheep goat sink skateboard ski snake snowboard sofa squirrel stingray '
    'stool sign suitcase surfboard table tiger toilet toy light train turtle '
    'vegetable vegetables watercraft boat'.split()) - {'old'}


def _ends(word: str) -> bool:
    """Whether a word is no part of a noun phrase."""
    return (not word[0].isalpha() or word in _PREPOSITIONS or word in _BREAKS
            or word.endswith(('wise', 'ly'))
            or (word.endswith('ing') and word not in _ING_NOUNS))


def _phrases(sentence: str) -> List[List[str]]:
    """Phrases that may hold the subject, without determiners."""
    words = re.findall(r"[a-z]+(?:['-][a-z]+)*|[,.;:?!]", sentence.lower())
    phrases: List[List[str]] = []
    current: List[str] = []
    behind = False  # a preposition
    for word in words + ['.']:
        if word not in _DETERMINERS and not _ends(word):
            current.append(word)
            continue
        if current and not behind:
            phrases.append(current)
        if current or word not in _DETERMINERS:
            behind = word in _PREPOSITIONS
        current = []
    return phrases


def parse_subject(sentence: str) -> str:
    """The subject of a sentence by the rules above.

    Args:
        sentence (str): English.

    Returns:
        str: One word in lower case; '' where the rules find none.
    """
    if re.match(r'\W*(who|whom|whose|what|which|where|when)\b',
                sentence.lower()):
        return ''
    for phrase in _phrases(sentence):
        known = [word for word in phrase if word in _NOUNS]
        if known:
            return known[-1]
        if len(phrase) > 1 and phrase[-1].endswith('s'):
            return phrase[-2]
        return phrase[-1]
    return ''
