# Copyright (c) costa_mm authors. All rights reserved.
"""The proposals of a video: frames, boxes, tubes."""
import json
import os
from dataclasses import replace
from typing import Any, Optional, Sequence, Union

import numpy as np

from costa_mm.datasets.readers import BaseVideoReader, PyAVReader
from costa_mm.models.text_encoders.subjects import parse_subject
from costa_mm.registry import PROPOSALS
from costa_mm.structures import TubeProposals
from costa_mm.utils.files import video_hash
from costa_mm.utils.frames import subsample
from .detectors import BaseFrameDetector
from .linking import Detections, link_tubes


@PROPOSALS.register_module()
class TubeProposer:
    """Proposes tubes for videos.

    Args:
        detector (dict or :obj:`BaseFrameDetector`): Finds the boxes; built
            when the first video comes.
        reader (:obj:`BaseVideoReader`, optional): Reads videos; PyAV's by
            default.
        fps (float): Frames per second that the detector looks at, the last
            frame besides (HC-STVG's usual 3.2 by default).
        batch_size (int): Frames that are in memory at a time.
        max_tubes (int): Tubes kept per video.
        max_gap (int): See :func:`link_tubes`.
        overlap_weight (float): See :func:`link_tubes`.
        by_label (bool): See :func:`link_tubes`.
    """

    def __init__(self,
                 detector: Union[dict, BaseFrameDetector],
                 reader: Optional[BaseVideoReader] = None,
                 *,
                 fps: float = 3.2,
                 batch_size: int = 16,
                 max_tubes: int = 20,
                 max_gap: int = 1,
                 overlap_weight: float = 1.,
                 by_label: bool = False) -> None:
        self._detector = detector
        self._config = detector if isinstance(detector, dict) else dict(
            type=type(detector).__name__)
        self.reader = reader or PyAVReader()
        self.fps = fps
        self.batch_size = batch_size
        self.linking = dict(
            max_tubes=max_tubes, max_gap=max_gap,
            overlap_weight=overlap_weight, by_label=by_label)

    def prepare(self) -> BaseFrameDetector:
        """Build the detector now; see there for what may be wrong."""
        return self.detector

    @property
    def detector(self) -> BaseFrameDetector:
        """What finds the boxes."""
        if isinstance(self._detector, dict):
            self._detector = PROPOSALS.build(self._detector)
        return self._detector

    def propose(self, video: str,
                sentences: Sequence[str] = ()) -> TubeProposals:
        """Find the tubes of a video.

        Args:
            video (str): Its path.
            sentences (Sequence[str]): What is asked of it, for a detector
                that looks for words: it gets their subjects.

        Raises:
            ValueError: If the video cannot be decoded, or a detector of words
                gets none.
        """
        info = self.reader.probe(video)
        ids = self.detector.frames_of(video)
        if ids is None:
            ids = subsample(0, info.num_frames, info.fps or 25., self.fps,
                            keep_last=True)
        phrases = self._phrases(video, sentences)
        frames = [
            found for first in range(0, len(ids), self.batch_size)
            for found in self._detect(video, ids[first:first +
                                                 self.batch_size], phrases)
        ]
        found = to_proposals(frames, ids, (info.width, info.height),
                             info.num_frames, type(self.detector).__name__,
                             **self.linking)
        return replace(found, video=video_hash(video),
                       recipe=self.recipe(video, sentences))

    def recipe(self, video: str, sentences: Sequence[str] = ()) -> str:
        """What the proposals of a video depend on beside the video, as text.

        Files and folders that the detector's config names count by their
        content; where it runs, and in how large batches, does not count.

        Args:
            video (str): Its path.
            sentences (Sequence[str]): See :meth:`propose`.

        Raises:
            ValueError: See :meth:`propose`.
        """
        detector = self.detector.recipe_of(video) or {
            key: _identity(value) for key, value in self._config.items()
            if key != 'device'
        }
        return json.dumps(dict(
            detector=detector, fps=self.fps,
            phrases=list(self._phrases(video, sentences)), **self.linking),
            sort_keys=True, default=str)

    def _detect(self, video: str, ids: np.ndarray,
                phrases: Sequence[str]) -> Sequence[Detections]:
        frames = self.reader.read(video, ids) if \
            self.detector.reads_pixels else np.zeros((0, 0, 0, 3), np.uint8)
        return self.detector.detect(frames, ids, video, phrases)

    def _phrases(self, video: str, sentences: Sequence[str]) -> Sequence[str]:
        if not self.detector.reads_words:
            return ()
        phrases = [parse_subject(s) or s for s in sentences]
        if not phrases:
            raise ValueError(f'{video}: {type(self.detector).__name__} looks '
                             'for the words of a sentence, and none is given')
        return sorted(set(phrases))


def _identity(value: Any) -> Any:
    """A setting, or what is in the file or folder that it names."""
    if not isinstance(value, str) or not os.path.exists(value):
        return value
    names = sorted(os.listdir(value)) if os.path.isdir(value) else ['']
    paths = [os.path.join(value, name) if name else value for name in names]
    return [os.path.basename(os.path.abspath(value)),
            *(video_hash(path) for path in paths if os.path.isfile(path))]


def to_proposals(frames: Sequence[Detections], frame_ids: np.ndarray,
                 size: tuple, num_frames: int, source: str,
                 **linking) -> TubeProposals:
    """Link boxes of single frames to the proposals of a video.

    Args:
        frames (Sequence[:obj:`Detections`]): N frames.
        frame_ids (np.ndarray): Their numbers, (N, ).
        size (tuple[int, int]): Width and height of the video.
        num_frames (int): Of the video.
        source (str): Who found the boxes.
        **linking: See :func:`link_tubes`.
    """
    tubes = link_tubes(frames, **linking)
    boxes = np.zeros((len(tubes), len(frame_ids), 4), np.float32)
    scores = np.zeros((len(tubes), len(frame_ids)), np.float32)
    for p, tube in enumerate(tubes):
        boxes[p, tube.frames] = tube.boxes
        scores[p, tube.frames] = tube.scores
    return TubeProposals(
        np.asarray(frame_ids, np.int64), boxes, scores,
        tuple(tube.label for tube in tubes), tuple(size), num_frames, source)
