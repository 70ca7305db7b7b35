# Copyright (c) costa_mm authors. All rights reserved.
"""Objects, scripts and queries, and which objects satisfy a query.

Everything here is symbolic: no pixels and no words.  A *script* is the list
of actions of an object in order of time, an *event* one or several actions
that follow one another in a script, and an *occurrence* of an event the
frames ``[start, end)`` that it takes.
"""
from dataclasses import dataclass
from itertools import groupby
from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from costa_mm.evaluation.functional import Span

Event = Tuple[str, ...]

RELATIONS = ('while', 'after', 'before')


class Look(NamedTuple):
    """How an object looks; as part of a query, None means "any"."""

    colour: Optional[str]
    shape: Optional[str]
    size: Optional[str] = None

    def fits(self, other: 'Look') -> bool:
        """Whether an object that looks like ``other`` fits this look."""
        return all(a is None or a == b for a, b in zip(self, other))


class Action(NamedTuple):
    """One action in the frames ``[start, end)``.

    In each of these frames the object differs from the frame before; before
    and after it rests.  ``amount`` is the distance (fraction of the frame
    side), the factor of the size, the angle in degrees or the number of
    cycles, as the kind requires.
    """

    kind: str
    start: int
    end: int
    amount: float


@dataclass(frozen=True)
class SceneObject:
    """One object.

    Args:
        look (Look): Colour, shape and size class.
        side (float): Base side, as a fraction of the frame side.
        script (tuple[Action]): Its actions in order of time.
        centre (tuple[float, float], optional): Where it is at first, (x, y)
            as fractions of the frame side; None before placing.
    """

    look: Look
    side: float
    script: Tuple[Action, ...]
    centre: Optional[Tuple[float, float]] = None


def action_spans(script: Sequence[Action]) -> List[Span]:
    """``[start, end)`` of every action; one done twice running is one."""
    runs = [list(run) for _, run in groupby(script, lambda a: a.kind)]
    return [(run[0].start, run[-1].end) for run in runs]


def acting_frames(obj: SceneObject, num_frames: int) -> np.ndarray:
    """True in the frames in which an object does anything, (T, ), bool."""
    acts = np.zeros(num_frames, dtype=bool)
    for action in obj.script:
        acts[action.start:action.end] = True
    return acts


class Relation(NamedTuple):
    """A second event that the first is related to in time."""

    kind: str
    look: Look
    event: Event


class Query(NamedTuple):
    """What a sentence asks for; ``look`` is None in a question."""

    look: Optional[Look]
    event: Event
    relation: Optional[Relation] = None

    @property
    def qtype(self) -> str:
        """'declarative' or 'interrogative'."""
        return 'interrogative' if self.look is None else 'declarative'


class Match(NamedTuple):
    """An object that satisfies a query, and when."""

    index: int
    span: Span


def occurrences(script: Sequence[Action], event: Event) -> List[Span]:
    """All ``[start, end)`` in which a script runs through an event."""
    kinds = tuple(a.kind for a in script)
    n = len(event)
    return [(script[i].start, script[i + n - 1].end)
            for i in range(len(kinds) - n + 1) if kinds[i:i + n] == event]


def related(kind: str, span: Span, other: Span, slack: int = 0) -> bool:
    """Whether ``span`` is while, after or before ``other``.

    Args:
        kind (str): One of ``RELATIONS``.
        span (tuple[int, int]): ``[start, end)`` of the event.
        other (tuple[int, int]): ``[start, end)`` of the event of reference.
        slack (int): Frames by which a relation may be missed (positive) or
            must be exceeded (negative).
    """
    if kind == 'while':
        return min(span[1], other[1]) - max(span[0], other[0]) > -slack
    if kind == 'after':
        return span[0] >= other[1] - slack
    if kind == 'before':
        return span[1] <= other[0] + slack
    raise ValueError(f'relation {kind!r} is none of {RELATIONS}')


def find_matches(objects: Sequence[SceneObject],
                 query: Query,
                 *,
                 use_looks: bool = True,
                 slack: int = 0) -> List[Match]:
    """Every object and occurrence that satisfies a query.

    Args:
        objects (Sequence[SceneObject]): All objects of the video.
        query (Query): What is asked for.
        use_looks (bool): False ignores every look, as somebody would who
            sees only what happens and when.
        slack (int): Tolerance of the relation in frames.

    Returns:
        list[Match]: In order of objects and time.
    """
    found = []
    for i, obj in enumerate(objects):
        if use_looks and query.look and not query.look.fits(obj.look):
            continue
        for span in occurrences(obj.script, query.event):
            if query.relation is None or _relation_holds(
                    objects, i, span, query.relation, use_looks, slack):
                found.append(Match(i, span))
    return found


def _relation_holds(objects, index, span, relation, use_looks, slack):
    for j, other in enumerate(objects):
        if j == index or (use_looks and not relation.look.fits(other.look)):
            continue
        if any(
                related(relation.kind, span, o, slack)
                for o in occurrences(other.script, relation.event)):
            return True
    return False


def find_lookalikes(objects: Sequence[SceneObject],
                    query: Query) -> List[int]:
    """Objects that may be meant for somebody who sees no event.

    A question names no look of its target, only that of its reference:
    there it is every object that does not look like the reference.
    """
    if query.look is not None:
        return [i for i, o in enumerate(objects) if query.look.fits(o.look)]
    reference = query.relation.look if query.relation else None
    return [
        i for i, o in enumerate(objects)
        if reference is None or not reference.fits(o.look)
    ]
