# Copyright (c) costa_mm authors. All rights reserved.
"""Pictures and files of results."""
import os
from typing import Dict, List, Sequence

import numpy as np

from costa_mm.structures import TubeDataSample
from costa_mm.visualization import (TubePainter, TubeTrack, contact_sheet,
                                    pick_frames, save_image,
                                    timeline_from_sample, tracks_from_sample,
                                    tracks_from_tubes, write_video)
from .inputs import VideoSource
from .results import TubeResult

DEFAULT_FPS = 25.0  # of frames in memory whose rate nobody told


def tracks_of(results: Sequence[TubeResult],
              samples: Sequence[TubeDataSample]) -> List[TubeTrack]:
    """One colour per sentence; what was not found has no span to show."""
    if len(results) == 1 and results[0].found:
        return tracks_from_sample(samples[0], draw_gt=False)
    found = [i for i, result in enumerate(results) if result.found]
    tracks = tracks_from_tubes(
        [results[i].tube for i in found],
        [f'{i + 1}: {results[i].sentence}' for i in found],
        [f'{i + 1}: {results[i].confidence:.2f}' for i in found])
    return tracks


def draw_pictures(source: VideoSource, results: Sequence[TubeResult],
                  samples: Sequence[TubeDataSample],
                  num_tiles: int = 12) -> Dict[str, np.ndarray]:
    """The contact sheet of a video and the timeline of every sentence.

    Args:
        source (:obj:`VideoSource`): The video.
        results (Sequence[:obj:`TubeResult`]): One per sentence.
        samples (Sequence[:obj:`TubeDataSample`]): They come from these.
        num_tiles (int): Frames on the sheet.

    Returns:
        dict[str, np.ndarray]: RGB pictures: ``sheet`` and one per sample id.
    """
    tracks = tracks_of(results, samples)
    ids = pick_frames(source.info.num_frames, tracks, num_tiles)
    pictures = dict(
        sheet=contact_sheet(
            source.reader.read(source.path, ids),
            ids,
            tracks,
            num_frames=source.info.num_frames,
            fps=source.info.fps))
    for sample in samples:
        pictures[sample.sample_id] = timeline_from_sample(sample)
    return pictures


def write_tube_video(path: str, source: VideoSource,
                     results: Sequence[TubeResult],
                     samples: Sequence[TubeDataSample]) -> None:
    """Write a video with the tubes of all its sentences."""
    info = source.info
    painter = TubePainter(
        frame_shape=(info.height, info.width),
        num_frames=info.num_frames,
        tracks=tracks_of(results, samples),
        fps=info.fps)
    frames = (
        painter.draw(frame, i)
        for i, frame in enumerate(source.iter_frames()))
    write_video(path, frames, info.fps or DEFAULT_FPS)


def write_files(folder: str, source: VideoSource,
                results: Sequence[TubeResult],
                samples: Sequence[TubeDataSample],
                pictures: Dict[str, np.ndarray]) -> Dict[str, str]:
    """Write video, contact sheet and timelines of one video.

    Returns:
        dict[str, str]: Paths by what they are: ``video``, ``sheet`` and
        sample ids for timelines.
    """
    paths = dict(
        video=os.path.join(folder, f'{source.name}.mp4'),
        sheet=os.path.join(folder, f'{source.name}_sheet.png'))
    for sample in samples:
        paths[sample.sample_id] = os.path.join(
            folder, f'{sample.sample_id}_timeline.png')
    write_tube_video(paths['video'], source, results, samples)
    for key, picture in pictures.items():
        save_image(paths[key], picture)
    return paths
