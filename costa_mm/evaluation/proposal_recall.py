# Copyright (c) costa_mm authors. All rights reserved.
"""How good an answer the proposals allow."""
from itertools import chain
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from costa_mm.registry import METRICS
from .functional import box_iou
from .sample_metric import SampleMetric, check_same, origin


@METRICS.register_module()
class ProposalRecall(SampleMetric):
    """What a method that only picks among proposals can reach.

    The overlap of a proposal is its mean IoU with the true box over the
    sampled frames of the event, 0 where it has no box: its vIoU, had it the
    true span.  Names in the result, after the prefix ``proposals/``:

    - ``recall@0.5``, ...: share of samples whose best proposal overlaps by as
      much;
    - ``m_vIoU``: mean overlap of the best proposals, the ceiling;
    - ``count``: mean number of proposals.

    Samples need ``LoadTubeAnnotations`` and ``LoadTubeProposals`` in their
    pipeline; those without a true box in a sampled frame do not count.

    Args:
        thresholds (Sequence[float]): Of the recall.
        collect_device (str): 'cpu' (default) or 'gpu'.
        prefix (str, optional): Prefix of the names.  Defaults to 'proposals'.
        collect_dir (str, optional): Shared folder for collecting on the CPU.
    """

    default_prefix: Optional[str] = 'proposals'

    def __init__(self,
                 *,
                 thresholds: Sequence[float] = (0.3, 0.5),
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None,
                 collect_dir: Optional[str] = None) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        self.thresholds = tuple(thresholds)

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Note the best overlap of every sample.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict | TubeDataSample]): With
                ``video_inputs``, ``gt_boxes`` and ``gt_box_mask``.

        Raises:
            ValueError: If a sample has no proposals or no truth; the message
                names it.
        """
        for sample in data_samples:
            name = str(sample.get('sample_id'))
            inputs = sample.get('video_inputs') or {}
            if 'tubes' not in inputs or sample.get('gt_boxes') is None:
                raise ValueError(
                    f'sample {name!r} has no proposals or no truth: '
                    'ProposalRecall needs LoadTubeAnnotations, '
                    'LoadTubeProposals and PackSTVGInputs(video_keys='
                    "('tubes', 'tube_scores')) in the test pipeline")
            there = np.asarray(inputs['tube_scores']) > 0  # (T, P)
            overlaps = proposal_overlaps(
                np.asarray(inputs['tubes'], float), there,
                np.asarray(sample.get('gt_boxes'), float),
                np.asarray(sample.get('gt_box_mask'), bool))
            if overlaps is not None:
                self.results.append(
                    (name, max(overlaps, default=0.), int(there.any(0).sum()),
                     origin(sample)))

    def merge(self, parts: Sequence[List[tuple]], size: int) -> List[tuple]:
        """See :class:`SampleMetric`; samples that do not count are left out.

        Raises:
            ValueError: If two different samples share one id.
        """
        merged: Dict[str, tuple] = {}
        for result in chain.from_iterable(parts):
            known = merged.setdefault(result[0], result)
            check_same(result[0], known[3], result[3])
        return list(merged.values())

    def compute_metrics(self, results: List[tuple]) -> dict:
        """See the class."""
        if not results:
            raise ValueError('ProposalRecall: no sample has a true box')
        best = np.array([r[1] for r in results])
        return {
            **{f'recall@{t:g}': float((best >= t).mean())
               for t in self.thresholds},
            'm_vIoU': float(best.mean()),
            'count': float(np.mean([r[2] for r in results]))
        }


def proposal_overlaps(boxes: np.ndarray, there: np.ndarray, true: np.ndarray,
                      has_box: np.ndarray) -> Optional[np.ndarray]:
    """Mean IoU of proposals with the truth over the latter's frames.

    Args:
        boxes (np.ndarray): (x1, y1, x2, y2), (T, P, 4).
        there (np.ndarray): Where a proposal has a box, (T, P), bool.
        true (np.ndarray): (x1, y1, x2, y2), (T, 4).
        has_box (np.ndarray): Where the truth has a box, (T, ), bool.

    Returns:
        np.ndarray or None: (P, ); None where the truth has no box.
    """
    if not has_box.any():
        return None
    iou = box_iou(boxes, true[:, None]) * there
    return iou[has_box].mean(0)
