# Copyright (c) costa_mm authors. All rights reserved.
"""Cutting events out of their videos."""
import os
from itertools import count, islice
from typing import List, Optional, Sequence, Tuple, Union

from costa_mm.datasets import BaseVideoReader, PyAVReader, VideoReadError
from costa_mm.utils.files import atomic_path, check_folder
from costa_mm.utils.frames import frames_at, seconds_at
from costa_mm.visualization import TubePainter, write_video
from .inputs import check_number
from .outputs import DEFAULT_FPS, keep_time, tracks_of
from .results import TubeResult


def cut_events(results: Sequence[TubeResult],
               out_dir: Union[str, os.PathLike],
               *,
               margin: float = 0.0,
               draw: bool = False,
               reader: Optional[BaseVideoReader] = None) -> List[str]:
    """Write a video of every event that was found: its frames, its sound.

    The cut is exact to the frame, so frames are encoded anew (H.264).  A
    video is decoded from the key frame before the event to its end.

    Args:
        results (Sequence[:obj:`TubeResult`]): Of videos in files.
        out_dir (str | Path): Gets ``SAMPLE.mp4`` per sentence.
        margin (float): Seconds shown before and after the event.
        draw (bool): Whether to draw the tube.
        reader (:obj:`BaseVideoReader`, optional): Default: PyAV's.

    Returns:
        list[str]: What was written.

    Raises:
        FileNotFoundError: If a video is not there any more.
        OSError: If nothing can be written there.
        ValueError: If the margin is negative or a clip would be written over
            one of the videos; :obj:`VideoReadError` if a video is not as long
            as the result says.
    """
    check_number('margin', margin, 0)
    folder, reader = os.fspath(out_dir), reader or PyAVReader()
    check_folder('out_dir', folder)
    found = [r for r in results if r.found]
    paths = [os.path.join(folder, f'{r.sample_id}.mp4') for r in found]
    videos = {os.path.realpath(r.video) for r in found}
    for path in paths:
        if os.path.realpath(path) in videos:
            raise ValueError(f'out_dir: {path} is one of the videos and '
                             'would be overwritten; choose another folder')
    for result, path in zip(found, paths):
        _cut(result, path, margin, draw, reader)
    return paths


def _cut(result: TubeResult, path: str, margin: float, draw: bool,
         reader: BaseVideoReader) -> None:
    fps = result.tube.fps or DEFAULT_FPS
    clock = fps if result.clock is None else result.clock
    start, end = _widened(result, clock, margin)
    frames = islice(reader.stream(result.video, start), end - start)
    if draw:
        painter = TubePainter(
            frame_shape=result.size[::-1],
            num_frames=result.tube.num_frames,
            tracks=tracks_of([result]),
            fps=clock)
        frames = painter.pictures(frames, count(start))
    with atomic_path(path) as part:
        written = write_video(part, frames, fps)
        if written < end - start:
            raise VideoReadError(f'{result.video} ends before frame {end}, '
                                 'the last one of an event found in it')
        keep_time(part, result.video, clock, fps, start, end)


def _widened(result: TubeResult, clock, margin: float) -> Tuple[int, int]:
    """First frame shown, and the one after the last."""
    start, end = result.span
    if not margin:
        return start, end
    first, last = (
        round(float(frames_at(seconds_at(frame, clock) + shift, clock)))
        for frame, shift in ((start, -margin), (end, margin)))
    return max(0, first), min(last, result.tube.num_frames)
