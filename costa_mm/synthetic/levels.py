# Copyright (c) costa_mm authors. All rights reserved.
"""Vocabulary and difficulty levels of the synthetic benchmark.

Lengths in space are fractions of the frame side, lengths in time fractions
of the clip, so that a level means the same at every size and frame count.
"""
from dataclasses import dataclass
from types import MappingProxyType
from typing import Mapping, Optional, Tuple

#: Part of every record of a generated folder; goes up whenever the same
#: arguments would give other annotations or videos.
GENERATOR_VERSION = '1.2'

#: Names and RGB values, chosen to stay apart after chroma subsampling.
COLOURS: Mapping[str, Tuple[int, int, int]] = MappingProxyType({
    'red': (228, 66, 60),
    'green': (84, 190, 92),
    'blue': (64, 122, 240),
    'yellow': (246, 208, 60),
    'purple': (172, 92, 224),
    'white': (240, 240, 236),
    'orange': (244, 138, 40),
    'cyan': (76, 206, 214),
})

SHAPES = ('circle', 'square', 'triangle', 'star', 'cross', 'heart')

ACTIONS = ('move_left', 'move_right', 'move_up', 'move_down', 'grow',
           'shrink', 'spin', 'blink', 'shake', 'jump')


@dataclass(frozen=True)
class Level:
    """What one difficulty level consists of.

    Args:
        num_colours, num_shapes, num_actions (int): How much of the vocabulary
            is used, from its beginning.
        num_objects (tuple[int, int]): Fewest and most objects, inclusive.
        sizes (dict): Size class to the range of base sides (fractions of the
            frame side); one class only: no size word in the sentences.
        recipes (dict): Share of each kind of sentence (:mod:`.scripts`).
        relations (tuple[str]): Relations in time that sentences use.
        wordings (int, optional): How many of an action's wordings are used,
            from the first; all by default.
        extra_action (float): Probability that an object acts once more.
        max_overlap (float): Largest part of the smaller of two boxes that
            the other may cover.
        pillar (float): Probability of a foreground post on the target's way.
        jitter (float): Largest camera shift (fraction of the frame side).
        clutter (tuple[int, int]): Fewest and most background specks.
        coloured_clutter (bool): Whether specks take the objects' colours.
        noise (float): Standard deviation of pixel noise, of 255.
        crf (int): Rate factor of the video encoder; noise costs many bits.
    """

    num_colours: int
    num_shapes: int
    num_actions: int
    num_objects: Tuple[int, int]
    sizes: Mapping[Optional[str], Tuple[float, float]]
    recipes: Mapping[str, float]
    relations: Tuple[str, ...] = ('while', )
    wordings: Optional[int] = None
    extra_action: float = 0.
    max_overlap: float = 0.
    pillar: float = 0.
    jitter: float = 0.
    clutter: Tuple[int, int] = (0, 0)
    coloured_clutter: bool = False
    noise: float = 0.
    crf: int = 16

    @property
    def colours(self) -> Tuple[str, ...]:
        """Names of the colours of this level."""
        return tuple(COLOURS)[:self.num_colours]

    @property
    def shapes(self) -> Tuple[str, ...]:
        """Names of the shapes of this level."""
        return SHAPES[:self.num_shapes]

    @property
    def actions(self) -> Tuple[str, ...]:
        """Names of the actions of this level."""
        return ACTIONS[:self.num_actions]


LEVELS: Mapping[str, Level] = MappingProxyType({
    'easy':
    Level(
        num_colours=4,
        num_shapes=3,
        num_actions=6,
        num_objects=(3, 3),
        sizes={None: (0.28, 0.33)},
        recipes={'simple': 1.},
        wordings=1),
    'turns':
    Level(
        num_colours=4,
        num_shapes=3,
        num_actions=4,
        num_objects=(3, 3),
        sizes={None: (0.28, 0.33)},
        recipes={'turns': 1.},
        wordings=1),
    'medium':
    Level(
        num_colours=8,
        num_shapes=5,
        num_actions=10,
        num_objects=(4, 5),
        sizes={
            'small': (0.16, 0.19),
            'large': (0.24, 0.28)
        },
        recipes={
            'simple': 0.3,
            'compound': 0.3,
            'timed': 0.1,
            'question': 0.3
        },
        extra_action=0.3,
        max_overlap=0.3,
        pillar=0.3,
        jitter=0.01,
        clutter=(8, 16)),
    'hard':
    Level(
        num_colours=8,
        num_shapes=6,
        num_actions=10,
        num_objects=(6, 7),
        sizes={
            'small': (0.13, 0.155),
            'large': (0.2, 0.235)
        },
        recipes={
            'simple': 0.1,
            'compound': 0.3,
            'timed': 0.3,
            'question': 0.3
        },
        relations=('while', 'after', 'before'),
        extra_action=0.6,
        max_overlap=0.6,
        pillar=0.6,
        jitter=0.025,
        clutter=(20, 32),
        coloured_clutter=True,
        noise=8.,
        crf=24),
})
