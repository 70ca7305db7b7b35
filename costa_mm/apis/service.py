# Copyright (c) costa_mm authors. All rights reserved.
"""Grounding for strangers: requests are checked, answers are files."""
import os
import re
import shutil
import tempfile
import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import Deque, List, Optional

from costa_mm.datasets import VideoReadError
from costa_mm.visualization import save_image
from .inputs import make_sources
from .outputs import (TUBE_FILE, Progress, color_of, draw_attention,
                      write_tube_video)
from .results import TubeResult, dump_results
from .stvg_inferencer import STVGInferencer


class RequestError(ValueError):
    """A request cannot be answered; the message is for who made it."""


@dataclass(frozen=True)
class Limits:
    """What a request may ask for.

    Args:
        megabytes (float): Size of a video file.
        seconds (float): Length of a video, at 25 frames per second where the
            rate is not known, at 120 where it is said to be higher.
        pixels (int): Longer side of a frame.
        sentences (int): Sentences of a request.
        characters (int): Length of a sentence.
    """

    megabytes: float = 100.
    seconds: float = 60.
    pixels: int = 4096
    sentences: int = 8
    characters: int = 300


@dataclass(frozen=True)
class Answer:
    """What a request gets.

    Args:
        results (list[:obj:`TubeResult`]): One per sentence.
        video (str): Path of the video with the tubes.
        json (str): Path of the tube file.
        attention (list[str]): Paths of every sentence's attention maps; empty
            where they were not asked for.
    """

    results: List[TubeResult]
    video: str
    json: str
    attention: List[str]


class GroundingService:
    """Answers requests, one at a time, each in a folder of its own.

    Args:
        inferencer (:obj:`STVGInferencer`): The model.
        folder (str, optional): Where answers are written; default: a folder
            that is removed with the service.
        limits (:obj:`Limits`): What may be asked for.
        score_thr (float, optional): See :class:`STVGInferencer`.
        keep (int): Answers kept; older ones are removed.
    """

    def __init__(self,
                 inferencer: STVGInferencer,
                 folder: Optional[str] = None,
                 limits: Limits = Limits(),
                 score_thr: Optional[float] = None,
                 keep: int = 100) -> None:
        self.inferencer = inferencer
        self.limits = limits
        self.score_thr = score_thr
        self.keep = keep
        self._own = None
        if folder is None:
            self._own = tempfile.TemporaryDirectory(prefix='costa_mm_')
            folder = self._own.name
        self.folder = folder
        self._answers: Deque[str] = deque()
        self._lock = threading.Lock()

    def ground(self,
               video: Optional[str],
               text: Optional[str],
               attention: bool = False,
               progress: Optional[Progress] = None) -> Answer:
        """Answer a request.

        Args:
            video (str, optional): Path of the uploaded file.
            text (str, optional): Sentences, one per line.
            attention (bool): Whether to draw attention maps too.
            progress (Callable, optional): Told the stage of the work, what is
                done of it, and all of it.

        Raises:
            RequestError: If the request cannot be answered, says why in words
                for who made it; no path of the server is told.
        """
        sentences = self.read_sentences(text)
        self.check_video(video)
        with self._lock:
            return self._answer(video, sentences, attention, progress)

    # ------------------------------------------------------------ the checks
    def read_sentences(self, text: Optional[str]) -> List[str]:
        """Sentences of a request, one per line, empty lines left out."""
        lines = [' '.join(line.split()) for line in (text or '').splitlines()]
        lines = [line for line in lines if line]
        limits = self.limits
        if not lines:
            raise RequestError('Write a sentence that says what to look for, '
                               'for instance "the man in red opens the door".')
        if len(lines) > limits.sentences:
            raise RequestError(f'{len(lines)} sentences; at most '
                               f'{limits.sentences} can be asked at once.')
        longest = max(map(len, lines))
        if longest > limits.characters:
            raise RequestError(f'A sentence has {longest:,} characters; at '
                               f'most {limits.characters:,} are allowed.')
        for line in lines:
            if not re.search(r'\w', line):
                raise RequestError(f'There is no word in "{line[:40]}".')
        return lines

    def check_video(self, video: Optional[str]) -> None:
        """Refuse what is too large, too long or no video."""
        if not video or not os.path.isfile(video):
            raise RequestError('Choose or upload a video first.')
        name, size = os.path.basename(video), os.path.getsize(video)
        if not size:
            raise RequestError(f'The file "{name}" is empty (0 bytes).')
        limits = self.limits
        if size > limits.megabytes * 1e6:
            raise RequestError(
                f'The file "{name}" has {size / 1e6:,.1f} MB; at most '
                f'{limits.megabytes:g} MB are allowed.')
        info = self._probe(video, name)
        known = info.fps and info.fps > 0
        seconds = info.num_frames / min(info.fps if known else 25., 120.)
        if seconds > limits.seconds:
            raise RequestError(
                f'The video "{name}" is {seconds:,.1f} s long; at most '
                f'{limits.seconds:g} s are allowed.')
        if max(info.width, info.height) > limits.pixels:
            raise RequestError(
                f'The frames of "{name}" have {info.width} x {info.height} '
                f'pixels; at most {limits.pixels} per side are allowed.')

    def _probe(self, video: str, name: str):
        try:
            return self.inferencer.reader.probe(video)
        except VideoReadError as e:
            raise _no_video(name) from e

    # ------------------------------------------------------------ the answer
    def _answer(self, video: str, sentences: List[str], attention: bool,
                progress: Optional[Progress]) -> Answer:
        folder, name = self._new_folder(), os.path.basename(video)
        try:
            out = self.inferencer(
                video, sentences, attention=attention,
                pred_score_thr=self.score_thr, progress=progress)
            source, = make_sources(video, sentences, self.inferencer.reader)
            drawn = os.path.join(folder, f'{source.name}.mp4')
            write_tube_video(drawn, source, out['predictions'], progress)
        except VideoReadError as e:
            raise _no_video(name) from e
        except ValueError as e:
            raise RequestError(str(e).replace(video, name)) from e
        # Without the path that the upload has on this machine.
        results = [replace(r, video=name) for r in out['predictions']]
        tubes = os.path.join(folder, TUBE_FILE)
        dump_results(results, tubes)
        maps = []
        for i, result in enumerate(results if attention else ()):
            maps.append(os.path.join(folder, f'{i}_attention.png'))
            save_image(maps[-1], draw_attention(source, result, color_of(i)))
        return Answer(results, drawn, tubes, maps)

    def _new_folder(self) -> str:
        """A fresh folder; the oldest answer is removed for it."""
        while len(self._answers) >= self.keep:
            shutil.rmtree(self._answers.popleft(), ignore_errors=True)
        os.makedirs(self.folder, exist_ok=True)
        self._answers.append(tempfile.mkdtemp(dir=self.folder))
        return self._answers[-1]


def _no_video(name: str) -> RequestError:
    return RequestError(f'The file "{name}" is no video that can be read, or '
                        'it is broken. MP4 files with H.264 are safe.')
