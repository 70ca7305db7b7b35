# Copyright (c) costa_mm authors. All rights reserved.
"""Symbolic proof that a draft is a fair question."""
from typing import Sequence

from .scene import Query, SceneObject, find_lookalikes, find_matches
from .scripts import MAX_EVENT, MIN_EVENT, SceneDraft


def check_draft(draft: SceneDraft, num_frames: int) -> str:
    """Why a draft is no fair question, or '' if it is.

    Exactly one object must satisfy the query, once, even if relations in
    time are taken a little more or less strictly; several objects must
    remain for somebody who ignores either the looks or the events; the
    event must be neither too short nor too long.
    """
    objects, query = draft.objects, draft.query
    if any(o.look.shape == 'circle' and a.kind == 'spin' for o in objects
           for a in o.script):
        return 'nobody sees a circle spin'
    if _size_misleads(objects, query):
        return 'a size class is told apart from an object that changes size'
    slack = max(1, num_frames // 24)
    for tolerance in (0, slack, -slack):
        found = find_matches(objects, query, slack=tolerance)
        if [m.index for m in found] != [0]:
            return 'not exactly one object satisfies the query'
    span = found[0].span
    length = (span[1] - span[0]) / num_frames
    if not MIN_EVENT <= length <= MAX_EVENT:
        return 'the event is too short or too long'
    blind = find_matches(objects, query, use_looks=False)
    if len({m.index for m in blind}) < 2:
        return 'the event alone gives the target away'
    if len(find_lookalikes(objects, query)) < 2:
        return 'the look alone gives the target away'
    if query.relation is not None and len(
            find_matches(objects, Query(query.relation.look,
                                        query.relation.event))) != 1:
        return 'the reference is ambiguous'
    return ''


def _size_misleads(objects: Sequence[SceneObject], query: Query) -> bool:
    """Whether 'small' or 'large' decides between objects of which one grows.

    A small circle that has grown passes for a large one.
    """
    looks = [query.look, query.relation and query.relation.look]
    for look in filter(None, looks):
        same = [
            o for o in objects if look._replace(size=None).fits(o.look)
        ]
        changes = any(a.kind in ('grow', 'shrink') for o in same
                      for a in o.script)
        if changes and len({o.look.size for o in same}) > 1:
            return True
    return False
