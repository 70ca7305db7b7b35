# Copyright (c) costa_mm authors. All rights reserved.
"""The tubes on which the published evaluators were run."""
from pathlib import Path

import numpy as np

from costa_mm.structures import Tube

DATA = Path(__file__).resolve().parent / 'data'


def golden_tubes():
    """Predictions and ground truth of the 24 golden videos."""
    with np.load(DATA / 'eval_inputs.npz', allow_pickle=False) as z:
        z = dict(z)
    preds, gts = {}, {}
    for i, num in enumerate(z['frame_count'].tolist()):
        start, end = int(z['gt_start'][i]), int(z['gt_end_inclusive'][i]) + 1
        boxes = z[f'gt_xywh_{i}'].astype(float)
        boxes[:, 2:] += boxes[:, :2]
        gts[str(i)] = Tube((start, end),
                           np.arange(start, end),
                           boxes,
                           qtype=str(z['qtype'][i]),
                           num_frames=num,
                           fps=num / 20)
        span = (z['pred_start'][i], z['pred_end_exclusive'][i])
        preds[str(i)] = Tube(span, np.arange(num), z[f'pred_xyxy_{i}'])
    return preds, gts
