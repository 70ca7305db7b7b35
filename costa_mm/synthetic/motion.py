# Copyright (c) costa_mm authors. All rights reserved.
"""From scripts to poses, outlines and boxes, for all frames at once."""
from typing import NamedTuple

import numpy as np

from .scene import Action, SceneObject

#: Degrees after which a shape looks as before; nobody sees a circle turn, so
#: drafts in which one spins are refused.
SYMMETRY = dict(
    circle=360, square=90, triangle=120, star=72, cross=90, heart=360)


class Pose(NamedTuple):
    """State of one object in every frame.

    ``shift`` (T, 2) is (x, y) from its first centre in fractions of the
    frame side, ``scale`` (T, ) multiplies its side, ``angle`` (T, ) is in
    degrees, ``light`` (T, ) in [0, 1] dims its colour.
    """

    shift: np.ndarray
    scale: np.ndarray
    angle: np.ndarray
    light: np.ndarray


def _circle() -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    return 0.5 * np.stack([np.cos(t), np.sin(t)], -1)


def _star() -> np.ndarray:
    t = -np.pi / 2 + np.arange(10) * np.pi / 5
    r = np.where(np.arange(10) % 2, 0.25, 0.55)
    return r[:, None] * np.stack([np.cos(t), np.sin(t)], -1)


def _cross() -> np.ndarray:
    a, b = 0.5, 0.18
    return np.array([(-b, -a), (b, -a), (b, -b), (a, -b), (a, b), (b, b),
                     (b, a), (-b, a), (-b, b), (-a, b), (-a, -b), (-b, -b)])


def _heart() -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    x = 16 * np.sin(t)**3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) -
          np.cos(4 * t))
    return np.stack([x, y - 2.5], -1) / 32


_TRIANGLE = np.array([(0, -0.577), (0.5, 0.289), (-0.5, 0.289)]) * 1.06

#: Outline of each shape at side 1 around the point that it turns about.
OUTLINES = dict(
    circle=_circle(),
    square=0.46 * np.array([(-1., -1), (1, -1), (1, 1), (-1, 1)]),
    triangle=_TRIANGLE,
    star=_star(),
    cross=_cross(),
    heart=_heart())


def spin_angle(shape: str, num_frames: int, per_frame: float) -> float:
    """Angle nearest to the wanted one after which the shape looks as before.

    So a spin that is over leaves no trace in the picture.
    """
    turn = SYMMETRY[shape]
    return turn * max(1, round(per_frame * num_frames / turn))


def compute_pose(script, num_frames: int) -> Pose:
    """Pose of an object in every frame.

    Args:
        script (Sequence[Action]): Its actions.
        num_frames (int): T.
    """
    pose = Pose(
        np.zeros((num_frames, 2)), np.ones(num_frames), np.zeros(num_frames),
        np.ones(num_frames))
    for action in script:
        _apply(pose, action, num_frames)
    return pose


def _apply(pose: Pose, action: Action, num_frames: int) -> None:
    """Add one action to a pose, which this function is allowed to change."""
    done = (np.arange(num_frames) + 1 - action.start) / (
        action.end - action.start)
    # the first frame of the action shows its first step already
    done = np.clip(done, 0., 1.)
    kind, amount = action.kind, action.amount
    if kind.startswith('move_'):
        axis = 0 if kind in ('move_left', 'move_right') else 1
        sign = -1 if kind in ('move_left', 'move_up') else 1
        pose.shift[:, axis] += sign * amount * done
    elif kind in ('grow', 'shrink'):
        pose.scale[:] *= 1 + (amount - 1) * done
    elif kind == 'spin':
        pose.angle[:] += amount * done
    elif kind == 'blink':
        pose.light[:] *= 0.6 + 0.4 * np.cos(2 * np.pi * amount * done)
    elif kind == 'shake':
        pose.shift[:, 0] += 0.07 * np.sin(2 * np.pi * amount * done)
    elif kind == 'jump':
        pose.shift[:, 1] -= 0.13 * np.abs(np.sin(np.pi * amount * done))
    else:
        raise ValueError(f'unknown action {kind!r}')


def compute_outline(obj: SceneObject, pose: Pose) -> np.ndarray:
    """Corners of an object in every frame, relative to its first centre.

    Returns:
        np.ndarray: (T, V, 2), (x, y) as fractions of the frame side.
    """
    angle = np.deg2rad(pose.angle)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = OUTLINES[obj.look.shape].T * obj.side
    turned = np.stack([cos * x - sin * y, sin * x + cos * y], -1)
    return turned * pose.scale[:, None, None] + pose.shift[:, None]


def outline_boxes(outline: np.ndarray) -> np.ndarray:
    """Boxes (..., 4) as (x1, y1, x2, y2) around corners (..., V, 2)."""
    return np.concatenate([outline.min(-2), outline.max(-2)], -1)
