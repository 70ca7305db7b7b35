# Copyright (c) costa_mm authors. All rights reserved.
"""Draws whole samples and verifies them symbolically.

A sample is a function of (seed, split, index) and the settings alone, so
any number of workers gives the same benchmark.
"""
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import List, Optional, Tuple

import numpy as np

from .checks import check_draft
from .language import write_sentence
from .levels import GENERATOR_VERSION, LEVELS, Level
from .motion import compute_outline, compute_pose, outline_boxes
from .placement import place_objects
from .scene import Query, SceneObject, Span, find_matches
from .scripts import RECIPES, Author, SceneDraft, add_actions, add_bystanders

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


def _place(draft: SceneDraft, settings: Settings,
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


def _target_area(target: SceneObject, query: Query,
                 settings: Settings) -> float:
    """Mean area of the target's box over its event, of the frame."""
    span = find_matches([target], query._replace(relation=None))[0].span
    pose = compute_pose(target.script, settings.num_frames)
    box = outline_boxes(compute_outline(target, pose))[slice(*span)]
    return float((box[:, 2:] - box[:, :2]).prod(-1).mean())


def _finish(settings: Settings, name: str, recipe: str, draft: SceneDraft,
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
        sentence=write_sentence(draft.query, rng,
                                LEVELS[settings.level].wordings),
        recipe=recipe,
        distractors=draft.distractors,
        posts=np.zeros((0, 4)),
        camera=_draw_camera(settings, rng),
        render_seed=(*entropy, 1))
    return replace(sample, posts=_draw_posts(sample, rng))


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
