# Copyright (c) costa_mm authors. All rights reserved.
"""From what a model says to the probability that a sentence is true.

The joint probability of a span answers "when, if at all", not "whether": a
model trained on videos that always show what the sentence says has never
been asked the second question.  A calibration answers it: a logistic model
on a few numbers that every prediction carries, fitted by
``tools/analysis_tools/calibrate_confidence.py`` on a validation split and
stored as JSON beside the checkpoint.
"""
import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from typing import Dict, Mapping, Optional, Tuple, Union

import numpy as np

from costa_mm.structures import TubeDataSample
from costa_mm.utils.files import write_text

SUFFIX = '.calibration.json'
SPAN_FEATURES = ('span_log_prob', 'span_entropy', 'box_jumps')
ATTENDANCE_FEATURES = ('attend_inside', 'attend_outside', 'attend_peak')
EPS = 1e-4


def score_features(sample: TubeDataSample) -> Dict[str, float]:
    """What a prediction says of its own reliability.

    Args:
        sample (:obj:`TubeDataSample`): With ``pred_*`` fields.

    Returns:
        dict[str, float]: ``span_log_prob``, log of the joint probability of
        the best span; ``span_entropy``, entropy of the start and end
        distributions as a share of the highest possible; ``box_jumps``, mean
        of 1 - IoU of adjacent sampled boxes inside the span.  For a model
        that predicts attendance also its logits: mean inside the span
        (``attend_inside``), mean outside (``attend_outside``) and highest
        (``attend_peak``).
    """
    ids = np.asarray(sample.frame_ids)
    first, last = sample.pred_tube.span
    inside = (ids >= first) & (ids < last)
    out = dict(
        span_log_prob=float(np.log(max(float(sample.pred_score), EPS))),
        span_entropy=0.5 * (_entropy(sample.pred_start) +
                            _entropy(sample.pred_end)),
        box_jumps=_box_jumps(np.asarray(sample.pred_boxes)[inside]))
    attendance = sample.get('pred_attendance', None)
    if attendance is not None and len(attendance):
        attendance = np.asarray(attendance, dtype=np.float64)
        out.update(
            attend_inside=_logit(attendance[inside]),
            attend_outside=_logit(attendance[~inside]),
            attend_peak=_logit(attendance.max(keepdims=True)))
    return out


def _entropy(probs: np.ndarray) -> float:
    """Entropy as a share of that of the uniform distribution."""
    probs = np.asarray(probs, dtype=np.float64)
    if len(probs) < 2:
        return 0.0
    probs = probs / max(probs.sum(), EPS)
    return float(-(probs * np.log(np.maximum(probs, 1e-12))).sum() /
                 np.log(len(probs)))


def _logit(probs: np.ndarray) -> float:
    """Logit of the mean; a mean of nothing counts as 0."""
    mean = float(np.mean(probs)) if len(probs) else 0.0
    mean = min(max(mean, EPS), 1 - EPS)
    return float(np.log(mean / (1 - mean)))


def _box_jumps(boxes: np.ndarray) -> float:
    """Mean of 1 - IoU of adjacent boxes, (N, 4)."""
    if len(boxes) < 2:
        return 0.0
    one, two = boxes[:-1], boxes[1:]
    sides = np.minimum(one[:, 2:], two[:, 2:]) - np.maximum(
        one[:, :2], two[:, :2])
    common = np.clip(sides, 0, None).prod(1)
    areas = [np.clip(b[:, 2:] - b[:, :2], 0, None).prod(1)
             for b in (one, two)]
    union = areas[0] + areas[1] - common
    return float(np.mean(1 - common / np.maximum(union, EPS)))


@dataclass(frozen=True)
class Calibration:
    """Logistic model of "this sentence is true of this video".

    Args:
        features (tuple[str]): Names, of :func:`score_features`.
        mean (tuple[float]): Their means over the validation split.
        scale (tuple[float]): Their standard deviations.
        weights (tuple[float]): Of the standardised features.
        bias (float): Logit of average features.
        threshold (float): Probability from which a sentence counts as found.
        weights_digest (str, optional): Of the checkpoint that it was fitted
            on, see :func:`weights_digest`.
        report (dict): How well it does, and what it was fitted on.
        domain (dict): Which videos it speaks of: 'name' of the data it was
            fitted on, and the ranges of their 'width' and 'height' in pixels,
            each (lowest, highest).  Empty where nothing is known.
    """

    features: Tuple[str, ...]
    mean: Tuple[float, ...]
    scale: Tuple[float, ...]
    weights: Tuple[float, ...]
    bias: float
    threshold: float
    weights_digest: Optional[str] = None
    report: dict = field(default_factory=dict)
    domain: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ('features', 'mean', 'scale', 'weights'):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        lengths = {len(x) for x in (self.features, self.mean, self.scale,
                                    self.weights)}
        if len(lengths) != 1:
            raise ValueError('features, mean, scale and weights differ in '
                             f'number: {sorted(lengths)}')
        numbers = (*self.mean, *self.scale, *self.weights, self.bias)
        if not np.isfinite(numbers).all() or min(self.scale) <= 0:
            raise ValueError('a number of the calibration is not finite, or '
                             'a scale not positive')
        if not 0 <= self.threshold <= 1:
            raise ValueError(f'threshold {self.threshold} is no probability')

    def confidence(self, features: Mapping[str, float]) -> float:
        """Probability that the sentence is true of the video.

        Args:
            features (Mapping[str, float]): From :func:`score_features`.

        Raises:
            ValueError: If a feature is missing, for the model lacks it.
        """
        missing = [name for name in self.features if name not in features]
        if missing:
            raise ValueError(f'the prediction has no {", ".join(missing)}: '
                             'the calibration is of another model')
        values = np.array([features[name] for name in self.features])
        return float(self.probability(values[None])[0])

    def covers(self, width: int, height: int) -> bool:
        """Whether videos of this size were among those it was fitted on.

        Elsewhere it says nothing: a probability learnt from one kind of
        videos is none for another.
        """
        sides = dict(width=width, height=height)
        ranges = {k: self.domain[k] for k in sides if k in self.domain}
        return all(low <= sides[k] <= high
                   for k, (low, high) in ranges.items())

    def probability(self, values: np.ndarray) -> np.ndarray:
        """The same for rows of features, (N, F) to (N, )."""
        z = (values - np.array(self.mean)) / np.array(self.scale)
        logits = z @ np.array(self.weights) + self.bias
        return np.exp(-np.logaddexp(0, -logits))

    def dump(self, path: Union[str, os.PathLike]) -> None:
        """Write it as JSON; the file appears whole or not at all."""
        write_text(json.dumps(asdict(self), indent=1) + '\n', path)

    @classmethod
    def load(cls, path: Union[str, os.PathLike]) -> 'Calibration':
        """Read a file of :meth:`dump`.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is something else.
        """
        if not os.path.isfile(path):
            raise FileNotFoundError(f'there is no calibration {path}')
        try:
            with open(path, encoding='utf-8') as f:
                return cls(**json.load(f))
        except (TypeError, ValueError) as e:
            raise ValueError(f'{path} is no calibration of a confidence: '
                             f'{e}') from e


def weights_digest(state_dict: Mapping) -> str:
    """Digest of names and values of weights, the same for every file of them.

    Args:
        state_dict (Mapping[str, Tensor]): Weights by name.

    Returns:
        str: 16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in sorted(state_dict):
        value = state_dict[name].detach().cpu().contiguous()
        digest.update(f'{name} {tuple(value.shape)}'.encode())
        digest.update(value.float().numpy().tobytes())
    return digest.hexdigest()[:16]


def calibration_path(checkpoint: str) -> str:
    """Where the calibration of a checkpoint lies: beside it."""
    return os.path.splitext(checkpoint)[0] + SUFFIX


def find_calibration(checkpoint: str,
                     state_dict: Mapping) -> Optional[Calibration]:
    """The calibration that lies beside a checkpoint, None without one.

    Args:
        checkpoint (str): Path, or an address, beside which nothing lies.
        state_dict (Mapping[str, Tensor]): Its weights.

    Raises:
        ValueError: If the file there is no calibration, or one of other
            weights.
    """
    path = calibration_path(checkpoint)
    if not os.path.isfile(path):
        return None
    calibration = Calibration.load(path)
    if calibration.weights_digest not in (None, weights_digest(state_dict)):
        raise ValueError(
            f'{path} was fitted on other weights than those of {checkpoint}: '
            'fit it again with tools/analysis_tools/calibrate_confidence.py, '
            'or remove it')
    return calibration
