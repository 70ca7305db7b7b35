# Copyright (c) costa_mm authors. All rights reserved.
"""What is written about a sample: annotation, factors and whole scene."""
from typing import Dict

import numpy as np

from costa_mm.evaluation.functional import span_iou
from .generator import Sample
from .scene import action_spans, find_matches


def sample_entry(sample: Sample) -> dict:
    """Annotation in the HC-STVG v1 schema, plus ``qtype`` and ``fps``."""
    s = sample.settings
    boxes = sample.tracks[sample.target][slice(*sample.span)]
    corners = np.rint(boxes.clip(0, s.size)).astype(int)
    xywh = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)
    return dict(
        bbox=xywh.tolist(),
        st_time=sample.span[0] / s.fps,
        ed_time=sample.span[1] / s.fps,
        img_num=s.num_frames,
        caption=sample.sentence,
        width=s.size,
        height=s.size,
        st_frame=sample.span[0] + 1,
        qtype=sample.query.qtype,
        fps=s.fps)


def sample_factors(sample: Sample) -> Dict[str, object]:
    """What makes a sample hard, for scores per factor (text and numbers)."""
    query, looks = sample.query, [o.look for o in sample.objects]
    one_kind = len(set(query.event)) == 1
    event_kind = ('compound' if not one_kind else
                  'single' if len(query.event) == 1 else 'twice')
    hidden = peak_occlusion(sample)
    return dict(
        recipe=sample.recipe,
        distractor=sample.distractors[0],
        event=query.event[0] if one_kind else 'compound',
        event_kind=event_kind,
        relation=query.relation.kind if query.relation else 'none',
        qtype=query.qtype,
        occlusion='none' if hidden < 0.1 else
        'partial' if hidden < 0.5 else 'heavy',
        peak_occlusion=round(hidden, 3),
        num_objects=len(looks),
        num_lookalikes=looks.count(looks[sample.target]) - 1,
        num_performers=_num_performers(sample) - 1,
        max_span_iou=round(_max_span_iou(sample), 3),
        event_length=round((sample.span[1] - sample.span[0]) /
                           sample.settings.num_frames, 3))


def _num_performers(sample: Sample) -> int:
    """Objects that perform the event at any time, the target included."""
    event = sample.query._replace(look=None, relation=None)
    return len({m.index for m in find_matches(sample.objects, event)})


def _max_span_iou(sample: Sample) -> float:
    """How well the best timed action of another object fits the event."""
    return max(
        span_iou(sample.span, span)
        for i, obj in enumerate(sample.objects) if i != sample.target
        for span in action_spans(obj.script))


def sample_scene(sample: Sample) -> Dict[str, object]:
    """The whole script of a video, for tools that look into it."""
    query = sample.query
    objects = [
        dict(
            look=list(o.look),
            side=round(o.side, 4),
            centre=list(o.centre),
            script=[[a.kind, a.start, a.end, round(a.amount, 4)]
                    for a in o.script]) for o in sample.objects
    ]
    relation = query.relation and dict(
        kind=query.relation.kind,
        look=list(query.relation.look),
        event=list(query.relation.event))
    return dict(
        target=sample.target,
        span=list(sample.span),
        query=dict(
            look=query.look and list(query.look),
            event=list(query.event),
            relation=relation),
        distractors=list(sample.distractors),
        objects=objects)


def peak_occlusion(sample: Sample) -> float:
    """Largest part of the target's box that others cover in its event.

    Measured on 8 x 8 points of the box; boxes stand for the shapes in front.
    """
    steps = (np.arange(8) + 0.5) / 8
    tracks = sample.tracks[:, slice(*sample.span)]
    box = tracks[sample.target][:, None, None]
    posts = sample.posts[:, None] + np.tile(sample.camera, 2)[None, slice(
        *sample.span)]
    front = np.concatenate(
        [tracks[sample.target + 1:], posts * sample.settings.size])
    x = box[..., 0] + steps[None, :, None] * (box[..., 2] - box[..., 0])
    y = box[..., 1] + steps[None, None] * (box[..., 3] - box[..., 1])
    hidden = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=bool)
    for other in front[:, :, None, None]:
        hidden |= ((x > other[..., 0]) & (x < other[..., 2]) &
                   (y > other[..., 1]) & (y < other[..., 3]))
    return float(hidden.mean((1, 2)).max())
