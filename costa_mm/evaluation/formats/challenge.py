# Copyright (c) costa_mm authors. All rights reserved.
"""The result file of the HC-STVG challenge."""
from typing import Dict, Sequence

from costa_mm.registry import RESULT_FORMATS
from costa_mm.structures import Tube
from costa_mm.utils import write_json
from ..report import SampleRecord
from .base import TubeFile, video_name


def challenge_entry(tube: Tube) -> dict:
    """One prediction in the form of the HC-STVG challenge.

    Frames count from 1, as ``st_frame`` does in the annotations, and
    ``ed_frame`` is the last frame of the event; only its boxes are listed.

    Args:
        tube (Tube): With a span.
    """
    start, end = tube.span
    boxes = {
        str(int(i) + 1): [float(c) for c in box]
        for i, box in zip(tube.frame_ids, tube.boxes) if start <= i < end
    }
    return dict(st_frame=start + 1, ed_frame=end, bbox=boxes)


@RESULT_FORMATS.register_module('hcstvg_challenge')
class HCSTVGChallengeFile(TubeFile):
    """The result file of the HC-STVG challenge.

    The form is ``{video: {st_frame, ed_frame, bbox: {"frame": [x1, y1, x2,
    y2]}}}``: one sentence per video, and a span in every prediction.
    """

    def __init__(self) -> None:
        self._samples: Dict[str, str] = {}  # by video

    def check(self, record: SampleRecord) -> None:
        """Refuse a second sentence of a video, and a missing span."""
        if record.pred.span is None:
            raise ValueError(f'sample {record.sample_id!r}: the prediction '
                             'has no span')
        check_single(record, self._samples, 'challenge file')

    def write(self, records: Sequence[SampleRecord], path: str) -> None:
        """Write the file; see :class:`TubeFile`."""
        out: Dict[str, dict] = {}
        for record in records:
            # samples of other processes were not seen before
            self.check(record)
            out[video_name(record)] = challenge_entry(record.pred)
        write_json(out, path)


def check_single(record: SampleRecord, samples: Dict[str, str],
                 form: str) -> None:
    """Refuse a second sentence of a video.

    Args:
        record (SampleRecord): The next one.
        samples (dict[str, str]): Sample ids by video, so far; grows.
        form (str): The form of HC-STVG that holds one only.

    Raises:
        ValueError: If there was another.
    """
    video = video_name(record)
    sample = samples.setdefault(video, record.sample_id)
    if sample != record.sample_id:
        raise ValueError(
            f'video {video!r} has two sentences (the second is sample '
            f'{record.sample_id!r}); the HC-STVG {form} holds one '
            "per video, write format='tubes' instead "
            '(tools/test.py --format tubes)')
