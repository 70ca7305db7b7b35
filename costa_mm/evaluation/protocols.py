# Copyright (c) costa_mm authors. All rights reserved.
"""The public evaluators of the field, each reproduced per sample.

All of them compute ``vIoU = sum of IoU over shared frames / number of frames
in either span``; they differ in which frames count and which end is
inclusive.  ``docs/en/metrics.md`` compares them on the same predictions.
"""
from typing import Dict, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from costa_mm.registry import EVAL_PROTOCOLS
from costa_mm.structures import Tube
from costa_mm.utils.frames import subsample
from .functional import (VIOU_THRESHOLDS, Span, box_iou, boxes_at, span_iou,
                         span_overlap)


class Scores(NamedTuple):
    """Scores of one sample, fractions.

    Attributes:
        tiou (float): Overlap of the spans.
        viou (float): Overlap of the tubes.
        siou (float, optional): Mean overlap of the boxes over the true span,
            whatever span was predicted; None where a protocol has no such
            number.
    """
    tiou: float
    viou: float
    siou: Optional[float]


class BaseProtocol:
    """How an evaluator counts frames: every frame, ends exclusive.

    A protocol is a subclass that is registered in ``EVAL_PROTOCOLS``; it
    changes the attributes below, :meth:`grid_frames` or :meth:`score`.

    Args:
        name (str): What its scores are called by.
        thresholds (Sequence[float]): A sample counts for ``vIoU@R`` if its
            vIoU is strictly above R.

    Raises:
        ValueError: If a threshold does not lie in [0, 1), or there is none.

    Attributes:
        end_offset (int): Added to the true (exclusive) end wherever the true
            span meets the predicted one; sIoU always takes the whole span.
        counts_boxes (bool): Frames count as shared only if both tubes have a
            box there, in tIoU as well, and a missing box is no error.
        skips_unannotated (bool): True frames without an annotated box are
            left out of vIoU altogether; otherwise they count in the
            denominator.
        has_siou (bool): Whether the evaluator computes sIoU.
        note (str): One line for the log.
    """

    end_offset: int = 0
    counts_boxes: bool = False
    skips_unannotated: bool = False
    has_siou: bool = True
    note: str = ''

    def __init__(self,
                 *,
                 name: str,
                 thresholds: Sequence[float] = VIOU_THRESHOLDS) -> None:
        self.name = name
        self.thresholds = tuple(float(r) for r in thresholds)
        if not self.thresholds or not all(0 <= r < 1 for r in self.thresholds):
            raise ValueError(f'protocol {name!r}: thresholds of vIoU lie in '
                             f'[0, 1), not {self.thresholds}')

    def grid_frames(self, gt: Tube) -> Optional[np.ndarray]:
        """Frames of the sampling grid; None where every frame counts.

        Args:
            gt (Tube): Ground truth.

        Raises:
            ValueError: If the ground truth lacks what the grid needs.
        """
        return None

    def score(self,
              pred: Tube,
              gt: Tube,
              missing_boxes: str = 'raise') -> Scores:
        """Score one prediction.

        Args:
            pred (Tube): Prediction: a span, and boxes for every frame that
                the protocol looks at.
            gt (Tube): Ground truth: a span and its annotated boxes.
            missing_boxes (str): 'raise' if the prediction lacks a box that
                is needed, or 'zero' to count it as IoU 0.

        Returns:
            Scores: tIoU, vIoU and sIoU.

        Raises:
            ValueError: If a tube lacks what the protocol needs.
        """
        frames, ious, found = match_boxes(pred, gt)
        true = (gt.span[0], gt.span[1] + self.end_offset)
        grid = self.grid_frames(gt)
        counted = np.ones(len(frames), bool)
        if grid is not None:
            counted = np.isin(frames, grid)
        if not self.counts_boxes and missing_boxes == 'raise':
            _check_boxes(frames[counted & ~found])
        shared = (counted & (frames >= max(true[0], pred.span[0]))
                  & (frames < min(true[1], pred.span[1])))
        hull = (min(true[0], pred.span[0]), max(true[1], pred.span[1]))
        union = self._num_union(hull, grid)
        if self.skips_unannotated:
            union -= gt.span[1] - gt.span[0] - len(frames)
        viou = ious[shared].sum() / max(union, 1)
        if not span_overlap(true, pred.span):
            viou = 0.
        tiou = span_iou(true, pred.span)
        if self.counts_boxes:
            tiou = (shared & found).sum() / union
        siou = ious[counted].sum() / max(counted.sum(), 1)
        return Scores(
            float(tiou), float(viou), float(siou) if self.has_siou else None)

    @staticmethod
    def _num_union(hull: Span, grid: Optional[np.ndarray]) -> int:
        if grid is None:
            return hull[1] - hull[0]
        return int(((grid >= hull[0]) & (grid < hull[1])).sum())


def match_boxes(pred: Tube,
                gt: Tube) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compare a prediction with every annotated frame of the true span.

    Returns:
        tuple[np.ndarray, np.ndarray, np.ndarray]: Annotated frames inside the
        true span, (N, ), int64; IoU there, (N, ), float64, 0 where the
        prediction has no box; whether it has one, (N, ), bool.

    Raises:
        ValueError: If a tube has no span, or the truth no box inside it.
    """
    if gt.span is None:
        raise ValueError('the ground truth has no span')
    if pred.span is None:
        raise ValueError('the prediction has no span')
    inside = ((gt.frame_ids >= gt.span[0]) & (gt.frame_ids < gt.span[1]))
    if not inside.any():
        raise ValueError(f'the ground truth has no box inside its span '
                         f'{gt.span}')
    frames = gt.frame_ids[inside]
    boxes, found = boxes_at(pred.frame_ids, pred.boxes, frames)
    return frames, np.where(found, box_iou(boxes, gt.boxes[inside]), 0), found


def _check_boxes(missing: np.ndarray) -> None:
    if len(missing):
        raise ValueError(
            f'the prediction has no box on {len(missing)} true frame(s), the '
            f'first is {missing[0]}; a prediction carries a box for every '
            'frame of the video (interpolate and hold), or count missing '
            "boxes as IoU 0 with missing_boxes='zero'")


@EVAL_PROTOCOLS.register_module('paper')
class PaperProtocol(BaseProtocol):
    """The definition in the paper; frames without a true box do not count."""

    skips_unannotated = True
    note = 'the definition in the paper on every frame'


@EVAL_PROTOCOLS.register_module(['stcat_hcstvg', 'stcat_vidstg'])
class STCATProtocol(BaseProtocol):
    """STCAT's evaluator, which forgets the last true frame."""

    end_offset = -1
    note = ('STCAT: every frame, the last true one is left out of tIoU and '
            'vIoU (VidSTG: read it per query type)')


@EVAL_PROTOCOLS.register_module('tubedetr_hcstvg')
class TubeDETRHCSTVGProtocol(BaseProtocol):
    """TubeDETR's evaluator: only frames of its sampling grid count.

    A clip of HC-STVG lasts 20 s by definition, and its last frame is no
    candidate.
    """

    note = 'TubeDETR: boxes on its 5 fps grid only, 20 s clips'

    def grid_frames(self, gt: Tube) -> np.ndarray:
        """The grid; the ground truth must have ``num_frames``."""
        num = self._needed(gt, 'num_frames')
        return subsample(0, num - 1, num / 20, 5, 200)

    def _needed(self, gt: Tube, field: str) -> float:
        """A field of the ground truth that the grid depends on."""
        value = getattr(gt, field)
        if not value:
            raise ValueError(f'protocol {self.name!r} samples frames and '
                             f'needs "{field}" in the ground truth')
        return value


@EVAL_PROTOCOLS.register_module('tubedetr_vidstg')
class TubeDETRVidSTGProtocol(TubeDETRHCSTVGProtocol):
    """The same with the file's frame rate, on the used segment."""

    note = 'TubeDETR: boxes on its 5 fps grid only; read it per query type'

    def grid_frames(self, gt: Tube) -> np.ndarray:
        """The grid; the ground truth must have ``num_frames`` and ``fps``.

        Without a ``segment`` it spans the whole video.
        """
        num, fps = self._needed(gt, 'num_frames'), self._needed(gt, 'fps')
        return subsample(*(gt.segment or (0, num)), fps, 5, 200)


@EVAL_PROTOCOLS.register_module('official_hcstvg')
class HCSTVGChallengeProtocol(BaseProtocol):
    """The script of the HC-STVG challenge."""

    counts_boxes = True
    has_siou = False
    note = 'HC-STVG challenge: frames with a box in both tubes; no sIoU'


#: A registered name, a config (``dict(type='paper', thresholds=(0.3, 0.7))``,
#: with a ``name`` where two are of one type), or a protocol.
ProtocolLike = Union[str, dict, BaseProtocol]
Protocols = Union[ProtocolLike, Sequence[ProtocolLike]]


def get_protocol(protocol: ProtocolLike) -> BaseProtocol:
    """The protocol that a name or a config means.

    Raises:
        ValueError: If none is registered under the name; the message lists
            the names.
    """
    if isinstance(protocol, BaseProtocol):
        return protocol
    cfg = dict(type=protocol) if isinstance(protocol, str) else dict(protocol)
    kind = cfg.get('type')
    if isinstance(kind, str) and not callable(EVAL_PROTOCOLS.get(kind)):
        raise ValueError(f'unknown protocol {kind!r}; there are '
                         f'{list(EVAL_PROTOCOLS.module_dict)}')
    cfg.setdefault('name', getattr(kind, '__name__', str(kind).split('.')[-1]))
    # whatever default scope a config of another project has set
    return EVAL_PROTOCOLS.build(dict(cfg, _scope_='costa_mm'))


def get_protocols(protocols: Protocols) -> Tuple[BaseProtocol, ...]:
    """The protocols of a name, a config, or a list of those.

    Raises:
        ValueError: If there are none, or two of one name.
    """
    if isinstance(protocols, (str, dict, BaseProtocol)):
        protocols = [protocols]
    out = tuple(get_protocol(p) for p in protocols)
    names = [p.name for p in out]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f'protocol is {names or "empty"}: name at least one, each once; '
            'two of one type need a name=... of their own')
    return out


#: The protocols of the field with the thresholds that papers report.
PROTOCOLS: Dict[str, BaseProtocol] = {
    name: get_protocol(name)
    for name in EVAL_PROTOCOLS.module_dict
}
