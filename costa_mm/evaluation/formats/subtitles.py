# Copyright (c) costa_mm authors. All rights reserved.
"""Subtitles that show a sentence while it happens."""
import html
import os
from typing import Callable, Dict, List, Tuple

from costa_mm.registry import RESULT_FORMATS
from costa_mm.utils import write_text
from ..report import SampleRecord
from .base import EventFile, stem_of


@RESULT_FORMATS.register_module('srt')
class SRTFolder(EventFile):
    """A folder with SubRip subtitles, ``NAME.srt``, for every video."""

    suffix, ending = '', '.srt'
    needs = ('span', 'sentence')

    def check(self, record: SampleRecord) -> None:
        """Refuse a sample whose seconds nobody knows."""
        super().check(record)
        if _seconds(record) is None:
            raise ValueError(f'sample {record.sample_id!r}: subtitles need '
                             'seconds, and its frame rate is not known; give '
                             'fps with frames in memory')

    def write_videos(self, videos: Dict[str, List[SampleRecord]],
                     path: str) -> None:
        """Write the folder; see :class:`EventFile`."""
        for name, group in videos.items():
            cues = sorted((_seconds(r), r.sentence) for r in group)
            write_text(self.text(cues),
                       os.path.join(path, stem_of(name) + self.ending))

    @staticmethod
    def text(cues: List[Tuple[Tuple[float, float], str]]) -> str:
        """The file of a video, from seconds and sentences."""
        return _cues(cues, ',', str)


@RESULT_FORMATS.register_module('vtt')
class VTTFolder(SRTFolder):
    """A folder with WebVTT subtitles, ``NAME.vtt``, which browsers show."""

    ending = '.vtt'

    @staticmethod
    def text(cues: List[Tuple[Tuple[float, float], str]]) -> str:
        """The file of a video, from seconds and sentences."""
        return 'WEBVTT\n\n' + _cues(
            cues, '.', lambda text: html.escape(text, quote=False))


def _seconds(record: SampleRecord) -> Tuple[float, float]:
    """The span in seconds, by the true clock where that is known."""
    if record.seconds is not None:
        return record.seconds
    fps = record.pred.fps
    return fps and tuple(frame / fps for frame in record.pred.span)


def _cues(cues: List[Tuple[Tuple[float, float], str]], point: str,
          escape: Callable[[str], str]) -> str:
    blocks = []
    for number, ((start, end), sentence) in enumerate(cues, 1):
        times = f'{_clock(start, point)} --> {_clock(end, point)}'
        line = escape(' '.join(sentence.split()))
        blocks.append(f'{number}\n{times}\n{line}\n')
    return '\n'.join(blocks)


def _clock(seconds: float, point: str) -> str:
    """Hours, minutes, seconds and thousandths."""
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    minutes, s = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours:02d}:{minutes:02d}:{s:02d}{point}{thousandths:03d}'
