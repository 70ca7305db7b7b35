# Copyright (c) costa_mm authors. All rights reserved.
"""Words for looks, actions and queries.

'left' and 'right' stand for directions only, so that a transform that
mirrors a video may exchange them word for word.
"""
from types import MappingProxyType
from typing import Optional

import numpy as np

from .scene import Event, Look, Query

#: Third person singular of each action; any of them may be drawn.
VERBS = MappingProxyType(
    dict(
        move_left=('moves left', 'moves to the left', 'slides left'),
        move_right=('moves right', 'moves to the right', 'slides right'),
        move_up=('moves up', 'moves upwards', 'rises'),
        move_down=('moves down', 'moves downwards', 'sinks'),
        grow=('grows', 'gets bigger', 'becomes larger'),
        shrink=('shrinks', 'gets smaller', 'becomes smaller'),
        spin=('spins', 'rotates', 'turns around itself'),
        blink=('blinks', 'flashes'),
        shake=('shakes', 'shakes from side to side'),
        jump=('jumps', 'hops up and down')))

THEN = ('{0}, then {1}', '{0} and then {1}', 'first {0}, then {1}')

DECLARATIVE = ('The {look} {event}{rest}.', 'The {look} that {event}{rest}.',
               'A {look} {event}{rest}.')

INTERROGATIVE = ('What {event}{rest}?', 'Which object {event}{rest}?')


def describe_look(look: Look) -> str:
    """For instance 'small red circle'; what is None is left out."""
    words = (look.size, look.colour, look.shape or 'object')
    return ' '.join(w for w in words if w)


def describe_event(event: Event,
                   rng: np.random.Generator,
                   wordings: Optional[int] = None) -> str:
    """For instance 'moves left, then grows', in the first few wordings.

    An event of two equal actions 'moves left twice'.
    """
    known = [VERBS[k][:wordings] for k in event]
    verbs = [verbs[rng.integers(len(verbs))] for verbs in known]
    if len(verbs) == 1:
        return verbs[0]
    if event[0] == event[1]:
        return f'{verbs[0]} twice'
    return THEN[rng.integers(len(THEN))].format(*verbs)


def write_sentence(query: Query,
                   rng: np.random.Generator,
                   wordings: Optional[int] = None) -> str:
    """A sentence for a query, in one of several wordings."""
    rest = ''
    if query.relation is not None:
        kind, look, event = query.relation
        rest = (f' {kind} the {describe_look(look)} '
                f'{describe_event(event, rng, wordings)}')
    event = describe_event(query.event, rng, wordings)
    if query.look is None:
        form = INTERROGATIVE[rng.integers(len(INTERROGATIVE))]
        return form.format(event=event, rest=rest)
    form = DECLARATIVE[rng.integers(len(DECLARATIVE))]
    look = describe_look(query.look)
    sentence = form.format(look=look, event=event, rest=rest)
    return sentence.replace('A orange', 'An orange')
