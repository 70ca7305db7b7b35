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
from .outputs import TUBE_FILE
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
        timelines (list[str]): Path of every sentence's timeline.
        attention (list[str]): The same for attention maps; empty where they
            were not asked for.
    """

    results: List[TubeResult]
    video: str
    json: str
    timelines: List[str]
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
               attention: bool = False) -> Answer:
        """Answer a request.

        Args:
            video (str, optional): Path of the uploaded file.
            text (str, optional): Sentences, one per line.
            attention (bool): Whether to draw attention maps too.

        Raises:
            RequestError: If the request cannot be answered, says why in words
                for who made it; no path of the server is told.
        """
        sentences = self.read_sentences(text)
        self.check_video(video)
        with self._lock:
            return self._answer(video, sentences, attention)

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
    def _answer(self, video: str, sentences: List[str],
                attention: bool) -> Answer:
        folder = self._new_folder()
        try:
            out = self.inferencer(
                video, sentences, out_dir=folder, attention=attention,
                pred_score_thr=self.score_thr)
        except VideoReadError as e:
            raise _no_video(os.path.basename(video)) from e
        except ValueError as e:
            text = str(e).replace(video, os.path.basename(video))
            raise RequestError(text) from e
        name = os.path.basename(video)
        results = [replace(r, video=name) for r in out['predictions']]
        files = {os.path.basename(path): path for path in out['files']}

        # Without the path that the upload has on this machine.
        dump_results(results, files[TUBE_FILE])

        def pictures(kind: str) -> List[str]:
            names = (f'{r.sample_id}_{kind}.png' for r in results)
            return [files[n] for n in names if n in files]

        return Answer(
            results=results,
            video=next(p for n, p in files.items() if n.endswith('.mp4')),
            json=files[TUBE_FILE],
            timelines=pictures('timeline'),
            attention=pictures('attention'))

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
