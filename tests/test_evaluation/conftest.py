# Copyright (c) costa_mm authors. All rights reserved.
"""Golden tubes of the published evaluators, and tubes made by hand."""
import json
from pathlib import Path

import numpy as np
import pytest

from costa_mm.structures import Tube

DATA = Path(__file__).resolve().parents[1] / 'data'


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


@pytest.fixture(scope='session')
def golden():
    """Predictions, ground truth and results of the evaluators."""
    with open(DATA / 'eval_results.json', encoding='utf-8') as f:
        results = json.load(f)
    return (*golden_tubes(), results)


@pytest.fixture
def make_tube():
    """A tube with one box on every frame of the video."""

    def make(span, box=(0, 0, 10, 10), num=20, **kwargs):
        return Tube(
            span,
            np.arange(num),
            np.tile(np.array(box, float), (num, 1)),
            num_frames=num,
            **kwargs)

    return make
