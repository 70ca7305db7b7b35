# Copyright (c) costa_mm authors. All rights reserved.
"""Pictures and files of results."""
import os
from itertools import count
from typing import (Callable, Dict, Iterable, Iterator, List, Optional,
                    Sequence, Tuple)

import numpy as np

from costa_mm.structures import Tube, TubeDataSample
from costa_mm.utils.files import atomic_path, check_folder, check_output
from costa_mm.utils.frames import FrameClock, keeps_rate, seconds_at
from costa_mm.utils.parallel import prefetch
from costa_mm.visualization import (PALETTE, TubePainter, TubeTrack,
                                    attention_sheet, contact_sheet,
                                    html_timeline, pick_frames, pick_sampled,
                                    save_image, tile_painter,
                                    timeline_from_sample, write_video)
from costa_mm.visualization.sound import add_sound
from costa_mm.visualization.tracks import Color
from .results import TubeResult
from .sources import VideoRequest, VideoSource

#: Told the stage of the work, what is done of it, and all of it.
Progress = Callable[[str, int, int], None]
TUBE_FILE = 'tubes.json'
ABSENT_COLOR: Color = (128, 130, 134)
NUM_TILES = 12
DEFAULT_FPS = 25.0  # of frames in memory whose rate nobody told
PACE_SECONDS = 0.02  # that frames of an even rate may be off it


def color_of(index: int) -> Color:
    """Colour of the tube of a video's ``index``-th sentence."""
    return PALETTE[index % len(PALETTE)]


def tracks_of(results: Sequence[TubeResult]) -> List[TubeTrack]:
    """One colour per sentence; what was not found is grey and has no box."""
    several = len(results) > 1
    return [
        _track(result, f'{i + 1}: ' if several else '', color_of(i))
        for i, result in enumerate(results)
    ]


def _track(result: TubeResult, number: str, color: Color) -> TubeTrack:
    score = f'{number or "model "}{result.confidence:.2f}'
    sentence = number + result.sentence
    if result.found:
        return TubeTrack(result.tube, score, sentence, color)
    return TubeTrack(Tube(None), score, f'{sentence} (not in this video)',
                     ABSENT_COLOR)


def draw_timeline(result: TubeResult, sample: TubeDataSample,
                  index: int = 0) -> np.ndarray:
    """Distributions and spans of one sentence, in the colour of its tube."""
    title = result.sentence
    if not result.found:
        title = f'not in this video ({result.confidence:.2f}): {title}'
    return timeline_from_sample(sample, title, color_of(index),
                                result.seconds)


def web_timeline(result: TubeResult, index: int = 0,
                 number: str = '') -> str:
    """The same for a web page, see :func:`html_timeline`.

    Args:
        result (:obj:`TubeResult`): The answer.
        index (int): Number of the sentence among those of its video.
        number (str): Stands before the sentence.
    """
    absent = '' if result.found else ' (not in this video)'
    best = (*result.span, result.span_score)
    return html_timeline(
        result.frame_ids,
        result.start,
        result.end,
        result.attendance,
        num_frames=len(result.boxes),
        spans=[best, *(s for s in result.spans if s[:2] != best[:2])][:5],
        color=color_of(index),
        fps=result.clock,
        title=f'{number}{result.sentence}{absent}',
        found=result.found)


class KeptFrames:
    """Those frames of a video that its pictures show.

    They are read from the file, unless they were kept while all frames
    passed by: the video is then decoded once for everything that is drawn.

    Args:
        source (:obj:`VideoSource`): The video.
        results (Sequence[:obj:`TubeResult`]): What will be drawn.
        num_tiles (int): Frames on the contact sheet.
    """

    def __init__(self, source: VideoSource, results: Sequence[TubeResult],
                 num_tiles: int = NUM_TILES) -> None:
        self.source = source
        info, tracks = source.info, tracks_of(results)
        self.sheet = pick_frames(info.num_frames, tracks, num_tiles)
        self.painter = tile_painter((info.height, info.width),
                                    info.num_frames, tracks)
        self.tiles: Dict[int, np.ndarray] = dict.fromkeys(self.sheet.tolist())
        self.kept: Dict[int, np.ndarray] = {}
        for result in results:
            if result.attention is not None:
                picked = _attention_frames(source, result)
                self.kept.update(
                    dict.fromkeys(result.frame_ids[picked].tolist()))

    def watch(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """All frames of the video, passed on."""
        for i, frame in enumerate(frames):
            if i in self.tiles:
                self.tiles[i] = self.painter.fit(frame).copy()
            if i in self.kept:
                self.kept[i] = frame.copy()
            yield frame

    def read_tiles(self) -> Sequence[np.ndarray]:
        """The frames of the contact sheet, small."""
        tiles = list(self.tiles.values())
        if any(tile is None for tile in tiles):
            return list(map(self.painter.fit, self._decode(self.sheet)))
        return tiles

    def read(self, ids: np.ndarray) -> Sequence[np.ndarray]:
        """Some of the frames, (H, W, 3) each, in the order asked."""
        frames = [self.kept.get(i) for i in ids.tolist()]
        if any(frame is None for frame in frames):
            return self._decode(ids)
        return frames

    def _decode(self, ids: np.ndarray) -> Sequence[np.ndarray]:
        return self.source.reader.read(self.source.path, ids)


def draw_pictures(source: VideoSource,
                  results: Sequence[TubeResult],
                  samples: Sequence[TubeDataSample],
                  frames: Optional[KeptFrames] = None
                  ) -> Dict[str, np.ndarray]:
    """The contact sheet of a video and the pictures of every sentence.

    Args:
        source (:obj:`VideoSource`): The video.
        results (Sequence[:obj:`TubeResult`]): One per sentence.
        samples (Sequence[:obj:`TubeDataSample`]): They come from these.
        frames (:obj:`KeptFrames`, optional): What is left of writing the
            video; without it frames are decoded.

    Returns:
        dict[str, np.ndarray]: RGB pictures: ``sheet``, ``SAMPLE_timeline``
        and, where a result has attention maps, ``SAMPLE_attention``.
    """
    frames = frames or KeptFrames(source, results)
    pictures = dict(
        sheet=contact_sheet(
            frames.read_tiles(),
            frames.sheet,
            tracks_of(results),
            num_frames=source.info.num_frames,
            fps=source.seconds,
            painter=frames.painter))
    for i, (result, sample) in enumerate(zip(results, samples)):
        timeline = draw_timeline(result, sample, i)
        pictures[f'{result.sample_id}_timeline'] = timeline
        if result.attention is not None:
            pictures[f'{result.sample_id}_attention'] = draw_attention(
                source, result, color_of(i), timeline, frames)
    return pictures


def _attention_frames(source: VideoSource, result: TubeResult) -> np.ndarray:
    """Which of the sampled frames are shown with their attention."""
    return pick_sampled(result.frame_ids, [TubeTrack(result.tube)],
                        source.info.num_frames)


def draw_attention(source: VideoSource,
                   result: TubeResult,
                   color: Color,
                   timeline: Optional[np.ndarray] = None,
                   frames: Optional[KeptFrames] = None) -> np.ndarray:
    """Where the model looks for a sentence, see :func:`attention_sheet`."""
    track = TubeTrack(result.tube, f'{result.confidence:.2f}',
                      result.sentence, color)
    picked = _attention_frames(source, result)
    ids = result.frame_ids[picked]
    frames = frames or KeptFrames(source, [result])
    return attention_sheet(
        frames.read(ids),
        ids,
        result.attention[picked],
        [track],
        num_frames=source.info.num_frames,
        fps=source.seconds,
        timeline=timeline)


def write_tube_video(path: str,
                     source: VideoSource,
                     results: Sequence[TubeResult],
                     progress: Optional[Progress] = None,
                     keep: Optional[KeptFrames] = None) -> None:
    """Write a video with the tubes of all its sentences, and its sound.

    Frames are shown when the source shows them, also at an uneven rate.
    """
    info = source.info
    painter = TubePainter(
        frame_shape=(info.height, info.width),
        num_frames=info.num_frames,
        tracks=tracks_of(results),
        fps=source.seconds)
    frames = prefetch(source.iter_frames())
    if keep is not None:
        frames = keep.watch(frames)

    def tell(done: int) -> None:
        if progress is not None:
            progress('drawing', done, info.num_frames)

    with atomic_path(path) as part:
        write_video(part, painter.pictures(frames, count()),
                    info.fps or DEFAULT_FPS, progress=tell)
        if source.seconds is not None and os.path.isfile(source.path):
            keep_time(part, source.path, source.seconds, info.fps)


def keep_time(path: str, source: str, clock: FrameClock, fps: float,
              start: int = 0, end: Optional[int] = None) -> None:
    """Give frames that were written the sound and the pace of their video.

    Args:
        path (str): What :func:`write_video` wrote at ``fps``.
        source (str): The video.
        clock (float or np.ndarray): When its frames are shown.
        fps (float): Frames per second.
        start (int): First frame written.
        end (int, optional): The frame after the last one; default: all.
    """
    first = float(seconds_at(start, clock))
    even = np.ndim(clock) == 0 or keeps_rate(clock, fps, PACE_SECONDS)
    seconds = None if even else clock[start:end and end + 1] - first
    add_sound(path, source, first, seconds)


def check_outputs(folder: str, sources: Sequence[VideoRequest]) -> None:
    """Make sure, before the work begins, that results can be written.

    Raises:
        OSError: If something in the way makes that impossible.
        ValueError: If a video with tubes would replace one of the videos.
    """
    check_folder('out_dir', folder)
    check_output('out_dir:', os.path.join(folder, TUBE_FILE))
    inputs = {os.path.realpath(source.path) for source in sources}
    for source in sources:
        path = _video_path(folder, source)
        for file in (path, _sheet_path(folder, source)):
            check_output('out_dir:', file)
        if os.path.realpath(path) in inputs:
            raise ValueError(f'out_dir: {path} is one of the videos and '
                             'would be overwritten; choose another folder')


def _video_path(folder: str, source: VideoRequest) -> str:
    return os.path.join(folder, f'{source.name}.mp4')


def _sheet_path(folder: str, source: VideoRequest) -> str:
    return os.path.join(folder, f'{source.name}_sheet.png')


def picture_paths(folder: str, sample_id: str) -> List[str]:
    """The pictures of a sentence, of which some may not be there."""
    return [
        os.path.join(folder, f'{sample_id}_{kind}.png')
        for kind in ('timeline', 'attention')
    ]


def draw_files(folder: str, source: VideoSource,
               results: Sequence[TubeResult],
               samples: Sequence[TubeDataSample]
               ) -> Tuple[Dict[str, np.ndarray], Dict[str, str]]:
    """Write the video with its tubes, and its pictures.

    Returns:
        tuple[dict[str, np.ndarray], dict[str, str]]: The pictures (see
        :func:`draw_pictures`), and the paths by their keys and ``video``.
    """
    paths = dict(video=_video_path(folder, source))
    frames = KeptFrames(source, results)
    write_tube_video(paths['video'], source, results, keep=frames)
    pictures = draw_pictures(source, results, samples, frames)
    for key, picture in pictures.items():
        paths[key] = os.path.join(folder, f'{key}.png') if key != 'sheet' \
            else _sheet_path(folder, source)
        save_image(paths[key], picture)
    return pictures, paths
