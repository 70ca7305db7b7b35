# Copyright (c) costa_mm authors. All rights reserved.
"""Recipes: who looks like whom, does what and when, and what is asked.

Each recipe takes the target's (first) action and returns a :class:`SceneDraft`
whose first object is the target and whose objects have no place yet.
Recipes construct what they promise only approximately: every draft is
verified (:mod:`.checks`) and, if need be, drawn again.
"""
from dataclasses import replace
from typing import List, NamedTuple, Optional, Tuple

import numpy as np

from costa_mm.evaluation.functional import Span, span_iou
from .levels import Level
from .motion import spin_angle
from .scene import Action, Event, Look, Query, Relation, SceneObject

#: Shortest and longest event of a target, as parts of the clip.
MIN_EVENT, MAX_EVENT = 0.2, 0.6


class SceneDraft(NamedTuple):
    """Objects (the target is the first), the query, kinds of distractors."""

    objects: Tuple[SceneObject, ...]
    query: Query
    distractors: Tuple[str, ...]


class Author:
    """Draws looks, times and actions from one random generator.

    Args:
        level (Level): Vocabulary and sizes.
        num_frames (int): T.
        rng (np.random.Generator): Source of every draw.
    """

    def __init__(self, level: Level, num_frames: int,
                 rng: np.random.Generator) -> None:
        self.level = level
        self.num_frames = num_frames
        self.rng = rng
        self.gap = max(1, round(0.06 * num_frames))

    def pick(self, items):
        """One of several, all equally likely."""
        return items[self.rng.integers(len(items))]

    def frames(self, low: float, high: float) -> int:
        """A number of frames between two parts of the clip."""
        low, high = np.ceil(low * self.num_frames), high * self.num_frames
        return int(self.rng.integers(low, max(low, np.floor(high)) + 1))

    def look(self) -> Look:
        """Any look."""
        level = self.level
        return Look(
            self.pick(level.colours), self.pick(level.shapes),
            self.pick(list(level.sizes)))

    def other_look(self, *looks: Look) -> Look:
        """A look that differs from all given ones.

        It often shares its colour or its shape with the first, and where
        there are size classes sometimes both, so that no single word of a
        description is enough.
        """
        shared = self.rng.random()
        if shared < 0.15 and len(self.level.sizes) > 1:
            sizes = [s for s in self.level.sizes if s != looks[0].size]
            look = looks[0]._replace(size=self.pick(sizes))
            if look not in looks:
                return look
        taken = {(x.colour, x.shape) for x in looks}
        while True:
            look = self.look()
            if shared < 0.35:
                look = look._replace(colour=looks[0].colour)
            elif shared < 0.55:
                look = look._replace(shape=looks[0].shape)
            if (look.colour, look.shape) not in taken:
                return look

    def kind(self, *avoid: str) -> str:
        """An action that is none of the given ones."""
        return self.pick([k for k in self.level.actions if k not in avoid])

    def span(self, low: float = MIN_EVENT, high: float = 0.5) -> Span:
        """``[start, end)`` with rest before and after."""
        length = self.frames(low, high)
        start = self.rng.integers(2, self.num_frames - length - 1)
        return int(start), int(start + length)

    def span_apart(self,
                   spans: List[Span],
                   max_iou: float = 0.4,
                   low: float = MIN_EVENT,
                   high: float = 0.5) -> Span:
        """A span that coincides with none of the given ones."""
        for _ in range(100):
            span = self.span(low, high)
            if all(span_iou(span, other) <= max_iou for other in spans):
                break
        return span

    def side(self, look: Look) -> float:
        """A base side in the look's size class."""
        return float(self.rng.uniform(*self.level.sizes[look.size]))

    def action(self, kind: str, span: Span, shape: str) -> Action:
        """An action with a random amount."""
        n = span[1] - span[0]
        if kind.startswith('move_'):
            amount = self.rng.uniform(0.22, 0.42)
        elif kind == 'grow':
            amount = self.rng.uniform(1.3, 1.42)
        elif kind == 'shrink':
            amount = self.rng.uniform(0.58, 0.7)
        elif kind == 'spin':
            amount = spin_angle(shape, n, 12.)
        else:  # cycles of seven frames or more stay visible at 2.7 frames/s
            amount = max(1, n // dict(blink=7, shake=8, jump=9)[kind])
        return Action(kind, span[0], span[1], float(amount))

    def object(self, look: Look, *steps: Tuple[str, Span]) -> SceneObject:
        """An object that performs steps (action, span)."""
        script = tuple(self.action(k, s, look.shape) for k, s in steps)
        return SceneObject(look, self.side(look), script)

    def sequence(self, look: Look, event: Event,
                 span: Optional[Span] = None) -> SceneObject:
        """An object that performs two actions one after the other."""
        start, end = span or self.span(0.36, MAX_EVENT)
        cut = start + round((end - start) * self.rng.uniform(0.42, 0.58))
        return self.object(look, (event[0], (start, cut)),
                           (event[1], (cut + 1, end)))

    def halting(self, look: Look, kind: str, span: Span) -> SceneObject:
        """An object that acts as a span begins and as it ends, else rests.

        Both times together it does as much as otherwise once.
        """
        start, end = span
        stops = start + self.frames(0.1, 0.14), end - self.frames(0.1, 0.14)
        obj = self.object(look, (kind, (start, stops[0])),
                          (kind, (stops[1], end)))
        return replace(
            obj,
            script=tuple(
                a._replace(amount=a.amount / 2) for a in obj.script))


def simple(author: Author, kind: str) -> SceneDraft:
    """One action: 'the red square moves left'."""
    look = author.look()
    rival_look = author.other_look(look)
    target = author.span()
    rival = author.span_apart([target])
    twin = author.span_apart([target, rival])
    objects = (author.object(look, (kind, target)),
               author.object(look, (author.kind(kind), twin)),
               author.object(rival_look, (kind, rival)))
    return SceneDraft(objects, Query(look, (kind, )), ('look', 'event'))


def compound(author: Author, kind: str) -> SceneDraft:
    """Two actions: 'the red square moves left, then grows'.

    The twin does the same in the reverse order, or only one half of it.
    """
    look = author.look()
    rival_look = author.other_look(look)
    a, b = kind, author.kind(kind)
    twin_kind = author.pick(('order', 'half'))
    if twin_kind == 'order':
        twin = author.sequence(look, (b, a))
    else:
        c = author.kind(a, b)
        twin = author.sequence(look, author.pick(((a, c), (c, b))))
    objects = (author.sequence(look, (a, b)), twin,
               author.sequence(rival_look, (a, b)))
    return SceneDraft(objects, Query(look, (a, b)), (twin_kind, 'event'))


def timed(author: Author, kind: str) -> SceneDraft:
    """'The red square moves left while the blue star spins.'

    The twin does the same at another time, the rival the same at that time.
    """
    look, a = author.look(), kind
    ref_look = author.other_look(look)
    rival_look = author.other_look(look, ref_look)
    b = author.kind(a)
    target, reference, away, _ = _two_pairs(author)
    rival = author.span_apart([target], 0.9)
    objects = (author.object(look, (a, target)),
               author.object(ref_look, (b, reference)),
               author.object(look, (a, away)),
               author.object(rival_look, (a, rival)))
    query = Query(look, (a, ), Relation('while', ref_look, (b, )))
    return SceneDraft(objects, query, ('time', 'event'))


def question(author: Author, kind: str) -> SceneDraft:
    """'What moves left while the blue star spins?'

    Another object does the same beside an object that does what the
    reference does and looks different: the look of the reference decides.
    """
    look, a = author.look(), kind
    ref_look = author.other_look(look)
    decoy_look = author.other_look(ref_look, look)
    b = author.kind(a)
    relation = author.pick(author.level.relations)
    times = _two_pairs(author) if relation == 'while' else _in_a_row(
        author, relation)
    target, reference, away, decoy = times
    objects = (author.object(look, (a, target)),
               author.object(ref_look, (b, reference)),
               author.object(
                   author.other_look(ref_look, decoy_look), (a, away)),
               author.object(decoy_look, (b, decoy)))
    query = Query(None, (a, ), Relation(relation, ref_look, (b, )))
    return SceneDraft(objects, query, ('reference', 'event'))


def turns(author: Author, kind: str) -> SceneDraft:
    """'The red square moves left twice', with a long rest in between.

    The twin takes its turn before or after the event, with another action;
    in the rest both stand still, so that a frame of it does not show which
    of the two is meant: the frames in which the event begins and ends do.
    """
    n, look = author.num_frames, author.look()
    rival_look = author.other_look(look)
    event, turn = author.frames(0.45, 0.55), author.frames(0.28, 0.34)
    start = int(author.rng.integers(1, max(2, n - event - author.gap - turn)))
    target, twin = (start, start + event), (n - turn - 1, n - 1)
    if author.rng.random() < 0.5:
        target, twin = ((n - e, n - s) for s, e in (target, twin))
    rival = author.span_apart([target], low=0.45, high=0.55)
    objects = (author.halting(look, kind, target),
               author.halting(look, author.kind(kind), twin),
               author.halting(rival_look, kind, rival))
    return SceneDraft(objects, Query(look, (kind, kind)), ('turn', 'event'))


def _two_pairs(author: Author) -> Tuple[Span, Span, Span, Span]:
    """Two pairs of spans; those of a pair overlap, the pairs do not."""
    end = author.num_frames
    cut = round(end * author.rng.uniform(0.42, 0.58))
    parts = [(2, cut), (cut + author.gap, end - 1)]
    if author.rng.random() < 0.5:
        parts.reverse()
    spans = []
    for low, high in parts:
        for _ in range(2):
            shortest = int(np.ceil(MIN_EVENT * end))
            length = int(author.rng.integers(
                min(shortest, high - low), high - low + 1))
            start = int(author.rng.integers(low, high - length + 1))
            spans.append((start, start + length))
    return tuple(spans)


def _in_a_row(author: Author, relation: str) -> Tuple[Span, ...]:
    """Target, reference, away and decoy spans for 'after' and 'before'.

    For 'after': decoy, then away (which starts while the reference still
    acts), then the target.  'before' is its mirror image in time.
    """
    n, gap = author.num_frames, author.gap
    decoy = (1, 1 + author.frames(0.15, 0.19))
    start = decoy[1] + gap
    away = (start, start + author.frames(0.18, 0.3))
    stop = start + author.frames(0.15, 0.3)
    reference = (max(1, stop - author.frames(0.18, 0.3)), stop)
    start = stop + gap
    longest = max(n - 1 - start, MIN_EVENT * n)
    target = (start, start + author.frames(MIN_EVENT, longest / n))
    spans = (target, reference, away, decoy)
    if relation == 'before':
        spans = tuple((n - e, n - s) for s, e in spans)
    return spans


RECIPES = dict(
    simple=simple,
    compound=compound,
    timed=timed,
    question=question,
    turns=turns)


def add_bystanders(author: Author, draft: SceneDraft) -> SceneDraft:
    """Fill up with objects, many of which look or act like the target."""
    low, high = author.level.num_objects
    target = draft.objects[0]
    objects = list(draft.objects)
    for _ in range(int(author.rng.integers(low, high + 1)) - len(objects)):
        like, same = author.rng.random(2)
        look = target.look if like < 0.3 else author.look()
        kind = draft.query.event[0] if same < 0.35 else author.kind()
        objects.append(author.object(look, (kind, author.span())))
    return draft._replace(objects=tuple(objects))


def add_actions(author: Author, draft: SceneDraft) -> SceneDraft:
    """Let some objects act once more, before or after what they do."""
    objects = [
        _act_again(author, o)
        if author.rng.random() < author.level.extra_action else o
        for o in draft.objects
    ]
    return draft._replace(objects=tuple(objects))


def _act_again(author: Author, obj: SceneObject) -> SceneObject:
    first, last = obj.script[0], obj.script[-1]
    room = [(2, first.start - author.gap),
            (last.end + author.gap, author.num_frames - 1)]
    shortest = int(np.ceil(0.16 * author.num_frames))
    room = [r for r in room if r[1] - r[0] >= shortest]
    if not room:
        return obj
    low, high = author.pick(room)
    length = int(author.rng.integers(shortest, high - low + 1))
    start = int(author.rng.integers(low, high - length + 1))
    # 'small' and 'large' say how an object looks when its event begins
    sizes = ('grow', 'shrink') if len(author.level.sizes) > 1 else ()
    kind = author.kind(*sizes, *[a.kind for a in obj.script])
    action = author.action(kind, (start, start + length), obj.look.shape)
    script = tuple(sorted((*obj.script, action), key=lambda a: a.start))
    return replace(obj, script=script)
