# Copyright (c) costa_mm authors. All rights reserved.
"""Draws whole samples and verifies them symbolically.

A sample is a function of (seed, split, index) and the settings alone, so
any number of workers gives the same benchmark.
"""
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from .language import write_sentence
from .levels import GENERATOR_VERSION, LEVELS, Level
from .motion import compute_outline, compute_pose, outline_boxes
from .placement import place_objects
from .scene import (Query, SceneObject, Span, find_lookalikes, find_matches,
                    span_iou)
from .scripts import (MAX_EVENT, MIN_EVENT, RECIPES, Author, Draft,
                      add_actions, add_bystanders)

SPLITS = ('train', 'val', 'test')

#: Mean box of a target over its event, as a part of the frame.
MAX_TARGET_AREA = 0.12

MAX_DRAWS = 2000

#: Attempts to place the objects of one draft.
PLACE_TRIES = 12


@dataclass(frozen=True)
class Settings:
    """Everything that a sample depends on, besides split and index.

    Args:
        level (str): One of ``LEVELS``.
        seed (int): Not negative.
        size (int): Side of the square frame in pixels, even, 32 at least.
        num_frames (int): Length of every video, 24 at least.
        fps (int): Frame rate of every video.

    Raises:
        ValueError: If a value is out of range.
    """

    level: str = 'easy'
    seed: int = 0
    size: int = 96
    num_frames: int = 48
    fps: int = 8

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError(f'level {self.level!r} is none of '
                             f'{", ".join(LEVELS)}')
        if self.seed < 0:
            raise ValueError(f'seed is {self.seed}, must not be negative')
        if self.size < 32 or self.size % 2:
            raise ValueError(f'size is {self.size}, must be even (H.264) and '
                             '32 at least')
        if self.num_frames < 24:
            raise ValueError(f'num_frames is {self.num_frames}, must be 24 '
                             'at least')
        if self.fps < 1:
            raise ValueError(f'fps is {self.fps}, must be positive')

    def to_dict(self) -> dict:
        """Settings and generator version, for the record of a folder."""
        return dict(asdict(self), version=GENERATOR_VERSION)


@dataclass(frozen=True)
class Sample:
    """One video, its sentence and its truth, without pixels.

    Args:
        name (str): File name of the video.
        settings (Settings): What it was drawn with.
        objects (tuple[SceneObject]): In drawing order, later ones in front.
        target (int): Index of the target.
        span (tuple[int, int]): Frames ``[start, end)`` of the event.
        query (Query): What is asked for.
        sentence (str): The same in words.
        recipe (str): Kind of sentence.
        distractors (tuple[str]): Kinds of distractors.
        posts (np.ndarray): Foreground posts, (P, 4), xyxy as parts of the
            frame side.
        camera (np.ndarray): Camera shift per frame, (T, 2), ditto.
        render_seed (tuple[int, ...]): Seed of background, clutter and noise.
    """

    name: str
    settings: Settings
    objects: Tuple[SceneObject, ...]
    target: int
    span: Span
    query: Query
    sentence: str
    recipe: str
    distractors: Tuple[str, ...]
    posts: np.ndarray
    camera: np.ndarray
    render_seed: Tuple[int, ...]

    @property
    def level(self) -> Level:
        """The level's description."""
        return LEVELS[self.settings.level]

    @cached_property
    def outlines(self) -> List[np.ndarray]:
        """Corners of every object, each (T, V, 2), parts of the side."""
        out = []
        for obj in self.objects:
            pose = compute_pose(obj.script, self.settings.num_frames)
            outline = compute_outline(obj, pose) + np.asarray(obj.centre)
            out.append(outline + self.camera[:, None])
        return out

    @cached_property
    def tracks(self) -> np.ndarray:
        """True boxes of all objects, (N, T, 4), xyxy pixels, unclipped.

        An object that something hides keeps its whole box.
        """
        boxes = [outline_boxes(o) for o in self.outlines]
        return np.stack(boxes) * self.settings.size


def draw_sample(settings: Settings, split: str, index: int) -> Sample:
    """Sample number ``index`` of a split.

    Raises:
        ValueError: If there is no such split.
        RuntimeError: If nothing fits after many draws (a defect of a level).
    """
    if split not in SPLITS:
        raise ValueError(f'split {split!r} is none of {SPLITS}')
    level = LEVELS[settings.level]
    entropy = (settings.seed, SPLITS.index(split), index)
    rng = np.random.default_rng(np.random.SeedSequence(entropy))
    author = Author(level, settings.num_frames, rng)
    names = list(level.recipes)
    # drawn once: what is refused more often must not become rarer
    recipe = names[rng.choice(len(names), p=list(level.recipes.values()))]
    kind = author.kind()
    for _ in range(MAX_DRAWS):
        draft = RECIPES[recipe](author, kind)
        draft = add_actions(author, add_bystanders(author, draft))
        if check_draft(draft, settings.num_frames):
            continue
        placed = _place(draft, settings, rng)
        if placed is not None:
            return _finish(settings, f'{split}_{index:05d}.mp4', recipe,
                           draft._replace(objects=placed), rng, entropy)
    raise RuntimeError(f'no {recipe!r} scene of level {settings.level!r} '
                       f'found in {MAX_DRAWS} draws for {entropy}')


def _place(draft: Draft, settings: Settings,
           rng: np.random.Generator) -> Optional[Tuple[SceneObject, ...]]:
    """Objects with places, or None where that fails again and again."""
    if _target_area(draft.objects[0], draft.query,
                    settings) > MAX_TARGET_AREA:
        return None
    level = LEVELS[settings.level]
    for _ in range(PLACE_TRIES):
        placed = place_objects(
            draft.objects,
            settings.num_frames,
            rng,
            max_overlap=level.max_overlap,
            margin=0.012 + level.jitter)
        if placed is not None:
            return placed
    return None


def check_draft(draft: Draft, num_frames: int) -> str:
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


def _target_area(target: SceneObject, query: Query,
                 settings: Settings) -> float:
    """Mean area of the target's box over its event, of the frame."""
    span = find_matches([target], query._replace(relation=None))[0].span
    pose = compute_pose(target.script, settings.num_frames)
    box = outline_boxes(compute_outline(target, pose))[slice(*span)]
    return float((box[:, 2:] - box[:, :2]).prod(-1).mean())


def _finish(settings: Settings, name: str, recipe: str, draft: Draft,
            rng: np.random.Generator, entropy: Tuple[int, ...]) -> Sample:
    """Order of drawing, posts, camera and words for a placed draft."""
    span = find_matches(draft.objects, draft.query)[0].span
    order = rng.permutation(len(draft.objects)).tolist()
    sample = Sample(
        name=name,
        settings=settings,
        objects=tuple(draft.objects[i] for i in order),
        target=order.index(0),
        span=span,
        query=draft.query,
        sentence=write_sentence(draft.query, rng),
        recipe=recipe,
        distractors=draft.distractors,
        posts=np.zeros((0, 4)),
        camera=_draw_camera(settings, rng),
        render_seed=(*entropy, 1))
    object.__setattr__(sample, 'posts', _draw_posts(sample, rng))
    return sample


def _draw_camera(settings: Settings, rng: np.random.Generator) -> np.ndarray:
    """A smooth random shift, in steps of half a pixel, (T, 2)."""
    limit = LEVELS[settings.level].jitter
    if not limit:
        return np.zeros((settings.num_frames, 2))
    walk = rng.normal(size=(settings.num_frames + 4, 2))
    smooth = sum(walk[i:i + settings.num_frames] for i in range(5)) / 5**0.5
    shift = np.clip(smooth * 0.5, -1, 1) * limit
    return np.round(shift * 2 * settings.size) / (2 * settings.size)


def _draw_posts(sample: Sample, rng: np.random.Generator) -> np.ndarray:
    """A post, now and then, through the middle of the target's way."""
    if rng.random() >= sample.level.pillar:
        return np.zeros((0, 4))
    boxes = sample.tracks[sample.target][slice(*sample.span)]
    box = boxes[len(boxes) // 2] / sample.settings.size
    width = rng.uniform(0.3, 0.5) * (box[2] - box[0])
    left = rng.uniform(box[0] - width / 2, box[2] - width / 2)
    return np.array([[left, -0.1, left + width, 1.1]])


def sample_entry(sample: Sample) -> dict:
    """Annotation in the HC-STVG v1 schema, plus the query type."""
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
        qtype=sample.query.qtype)


def sample_factors(sample: Sample) -> Dict[str, object]:
    """What makes a sample hard, for scores per factor."""
    s = sample.settings
    share = (sample.span[1] - sample.span[0]) / s.num_frames
    looks = [o.look for o in sample.objects]
    look = looks[sample.target]
    others = [(i, o) for i, o in enumerate(sample.objects)
              if i != sample.target]
    hidden = peak_occlusion(sample)
    return dict(
        recipe=sample.recipe,
        distractor='+'.join(sample.distractors),
        event='+'.join(sample.query.event),
        event_kind='compound' if len(sample.query.event) > 1 else 'single',
        relation=sample.query.relation.kind if sample.query.relation else
        'none',
        qtype=sample.query.qtype,
        occlusion='none' if hidden < 0.1 else
        'partial' if hidden < 0.5 else 'heavy',
        peak_occlusion=round(hidden, 3),
        num_objects=len(looks),
        num_lookalikes=looks.count(look) - 1,
        num_performers=len({
            m.index
            for m in find_matches(
                sample.objects,
                sample.query._replace(look=None, relation=None))
        }) - 1,
        max_span_iou=round(
            max(
                span_iou(sample.span, a[1:3]) for _, o in others
                for a in o.script), 3),
        length='short' if share < 0.3 else 'long',
        target=sample.target,
        objects=[_object_record(o) for o in sample.objects])


def _object_record(obj: SceneObject) -> dict:
    return dict(
        look=[w for w in obj.look],
        side=round(obj.side, 4),
        centre=list(obj.centre),
        script=[[a.kind, a.start, a.end, round(a.amount, 4)]
                for a in obj.script])


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
