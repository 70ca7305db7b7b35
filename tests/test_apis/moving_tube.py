# Copyright (c) costa_mm authors. All rights reserved.
"""A result of the inferencer, made by hand."""
import numpy as np

from costa_mm.apis import TubeResult
from costa_mm.structures import Tube


def result(path, sample_id, span, sentence='the <dog> & "its" ball', **more):
    """A tube that moves to the right and turns at frame 20."""
    ids = np.arange(48)
    x = 25 + np.where(ids < 20, ids, 40 - ids) * 0.75
    boxes = np.stack([x, x * 0 + 4.25, x + 30, x * 0 + 60], 1)
    values = dict(
        sample_id=sample_id, video=str(path), sentence=sentence,
        size=(96, 64), confidence=0.75, span_score=0.5, calibrated=False,
        tube=Tube(span, ids, boxes, num_frames=48, fps=24.0), threshold=0.1,
        attendance_score=None, found=True, spans=[],
        frame_ids=np.array([0, 20, 40]), start=np.array([.5, .5, 0]),
        end=np.array([0, .5, .5]), attendance=None)
    return TubeResult(**{**values, **more})
