# Copyright (c) costa_mm authors. All rights reserved.
"""Files that predictions are written to."""
import json
import os
from typing import Callable, Dict, Sequence

from costa_mm.structures import Tube, dump_tubes
from .report import SampleRecord


def write_tubes(records: Sequence[SampleRecord], path: str) -> None:
    """Write predictions as a tube file."""
    dump_tubes({r.sample_id: r.pred for r in records}, path)


def challenge_entry(tube: Tube) -> dict:
    """One prediction in the form of the HC-STVG challenge.

    Frames count from 1, as ``st_frame`` does in the annotations, and
    ``ed_frame`` is the last frame of the event; only its boxes are listed.

    Raises:
        ValueError: If the prediction has no span.
    """
    if tube.span is None:
        raise ValueError('the prediction has no span')
    start, end = tube.span
    boxes = {
        str(int(i) + 1): [float(c) for c in box]
        for i, box in zip(tube.frame_ids, tube.boxes) if start <= i < end
    }
    return dict(st_frame=start + 1, ed_frame=end, bbox=boxes)


def check_only_sentence(record: SampleRecord, seen: Dict[str, str]) -> str:
    """Refuse a second sentence of a video.

    Args:
        record (SampleRecord): A prediction.
        seen (dict[str, str]): Samples by their videos; this one is added.

    Returns:
        str: Name of the video.

    Raises:
        ValueError: If another sample has the same video.
    """
    video = record.video_id or record.sample_id
    if seen.setdefault(video, record.sample_id) != record.sample_id:
        raise ValueError(
            f'video {video!r} has two sentences (the second is sample '
            f'{record.sample_id!r}); the HC-STVG challenge file holds one '
            "per video, write format='tubes' instead "
            '(tools/test.py --format tubes)')
    return video


def write_hcstvg_challenge(records: Sequence[SampleRecord],
                           path: str) -> None:
    """Write predictions as the result file of the HC-STVG challenge.

    The form is ``{video: {st_frame, ed_frame, bbox: {"frame": [x1, y1, x2,
    y2]}}}``, one sentence per video.

    Raises:
        ValueError: If a video has two sentences, or a prediction no span.
    """
    out: Dict[str, dict] = {}
    seen: Dict[str, str] = {}
    for record in records:
        video = check_only_sentence(record, seen)
        try:
            out[video] = challenge_entry(record.pred)
        except ValueError as e:
            raise ValueError(f'sample {record.sample_id!r}: {e}') from e
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as f:
        json.dump(out, f)


FORMATS: Dict[str, Callable[[Sequence[SampleRecord], str], None]] = {
    'tubes': write_tubes,
    'hcstvg_challenge': write_hcstvg_challenge,
}
