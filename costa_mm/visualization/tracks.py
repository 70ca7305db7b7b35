# Copyright (c) costa_mm authors. All rights reserved.
"""What is drawn: a tube with a name, a colour and a line style."""
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import numpy as np

from costa_mm.structures import Tube, TubeDataSample

Color = Tuple[int, int, int]

# Colours of Okabe and Ito, told apart by colour-blind people too.
PALETTE: Tuple[Color, ...] = ((255, 149, 0), (64, 176, 255), (0, 200, 140),
                              (240, 228, 66), (230, 110, 190), (255, 90, 40),
                              (60, 120, 255))
TRUTH_COLOR: Color = (250, 250, 250)


@dataclass(frozen=True)
class TubeTrack:
    """A tube as it is to be drawn.

    Args:
        tube (:obj:`Tube`): Span and boxes, pixels of the original frame.
        label (str): Short name on the box and beside the time line.
        sentence (str): What the caption says of it; may be empty.
        color (tuple[int, int, int]): Red, green, blue.
        dashed (bool): Whether boxes are dashed, as ground truth is drawn.
    """

    tube: Tube
    label: str = ''
    sentence: str = ''
    color: Color = PALETTE[0]
    dashed: bool = False

    def box(self, frame_id: int) -> Optional[np.ndarray]:
        """The box in a frame, (4, ), or None where the tube has none."""
        ids = self.tube.frame_ids
        i = int(np.searchsorted(ids, frame_id))
        if i == len(ids) or ids[i] != frame_id:
            return None
        return self.tube.boxes[i]

    def is_inside(self, frame_id: int) -> bool:
        """Whether a frame lies inside the span."""
        span = self.tube.span
        return span is not None and span[0] <= frame_id < span[1]


def truth_track(tube: Tube, sentence: str = '') -> TubeTrack:
    """The track of an annotated tube: white and dashed."""
    return TubeTrack(tube, 'truth', sentence, TRUTH_COLOR, dashed=True)


def tracks_from_sample(data_sample: TubeDataSample,
                       *,
                       draw_gt: bool = True,
                       draw_pred: bool = True,
                       color: Color = PALETTE[0]) -> List[TubeTrack]:
    """Ground truth and prediction of a sample, as far as it has them."""
    sentence = data_sample.get('sentence', '')
    tracks = []
    pred = data_sample.get('pred_tube', None)
    if draw_pred and pred is not None:
        score = data_sample.get('pred_score', None)
        label = 'model' if score is None else f'model {float(score):.2f}'
        tracks.append(TubeTrack(pred, label, sentence, color))
    truth = data_sample.get('gt_tube', None)
    if draw_gt and truth is not None:
        tracks.insert(0, truth_track(truth, '' if tracks else sentence))
    return tracks


def tracks_from_tubes(tubes: Sequence[Tube],
                      sentences: Sequence[str],
                      labels: Optional[Sequence[str]] = None
                      ) -> List[TubeTrack]:
    """Tracks of several sentences on one video, each in its own colour.

    Raises:
        ValueError: If the arguments differ in length.
    """
    labels = [str(i + 1) for i in range(len(tubes))] if labels is None \
        else labels
    if not len(tubes) == len(sentences) == len(labels):
        raise ValueError(f'{len(tubes)} tubes, {len(sentences)} sentences '
                         f'and {len(labels)} labels')
    return [
        TubeTrack(tube, label, sentence, PALETTE[i % len(PALETTE)])
        for i, (tube, sentence, label) in enumerate(
            zip(tubes, sentences, labels))
    ]
