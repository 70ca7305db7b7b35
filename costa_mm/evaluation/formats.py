# Copyright (c) costa_mm authors. All rights reserved.
"""Files that predictions are written to."""
from typing import Dict, Sequence

from costa_mm.registry import RESULT_FORMATS
from costa_mm.structures import Tube, dump_tubes
from costa_mm.utils import write_json
from .report import SampleRecord


@RESULT_FORMATS.register_module('tubes')
class TubeFile:
    """A tube file: any sample, in the toolbox's own form.

    A format is a class with these two methods, registered in
    ``RESULT_FORMATS``; an object of it serves one evaluation.
    """

    def check(self, record: SampleRecord) -> None:
        """Refuse, as it comes, a prediction that the file cannot hold.

        Args:
            record (SampleRecord): A prediction.

        Raises:
            ValueError: If there is no place for it in the file.
        """

    def write(self, records: Sequence[SampleRecord], path: str) -> None:
        """Write the file.

        Args:
            records (Sequence[SampleRecord]): Every sample once.
            path (str): The file.

        Raises:
            ValueError: If the file cannot hold one of them.
        """
        dump_tubes({r.sample_id: r.pred for r in records}, path)


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
        video = _video(record)
        sample = self._samples.setdefault(video, record.sample_id)
        if sample != record.sample_id:
            raise ValueError(
                f'video {video!r} has two sentences (the second is sample '
                f'{record.sample_id!r}); the HC-STVG challenge file holds one '
                "per video, write format='tubes' instead "
                '(tools/test.py --format tubes)')

    def write(self, records: Sequence[SampleRecord], path: str) -> None:
        """Write the file; see :class:`TubeFile`."""
        out: Dict[str, dict] = {}
        for record in records:
            # samples of other processes were not seen before
            self.check(record)
            out[_video(record)] = challenge_entry(record.pred)
        write_json(out, path)


def _video(record: SampleRecord) -> str:
    return record.video_id or record.sample_id


def get_format(name: str) -> TubeFile:
    """A new file of the format of this name.

    Raises:
        ValueError: If there is none; the message lists the names.
    """
    kind = RESULT_FORMATS.get(name)
    if not callable(kind):  # a registry finds modules of Python, too
        raise ValueError(f'unknown format {name!r}; there are '
                         f'{list(RESULT_FORMATS.module_dict)}')
    return kind()
