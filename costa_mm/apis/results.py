# Copyright (c) costa_mm authors. All rights reserved.
"""What a person gets back for a video and a sentence."""
import os
from dataclasses import dataclass
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from costa_mm.structures import Tube, TubeDataSample
from costa_mm.structures.tube import read_tube_file
from costa_mm.utils.files import write_json
from costa_mm.utils.frames import FrameClock, keeps_rate
from .calibration import Calibration, score_features

#: Fields of a result that JSON holds as they are.
PLAIN_FIELDS = ('video', 'sentence', 'confidence', 'span_score', 'calibrated',
                'threshold', 'attendance_score', 'found')
STEADY_SECONDS = 1e-3  # container formats round times to this


class ScoredSpan(NamedTuple):
    """A span with its probability.

    Attributes:
        start (int): First frame of the event, from 0.
        end (int): Frame after its last one.
        score (float): Joint probability of start and end.
    """
    start: int
    end: int
    score: float


@dataclass(frozen=True, eq=False)
class TubeResult:
    """The tube of one sentence in one video.

    Args:
        sample_id (str): Unique in one call of the inferencer.
        video (str): Path of the video, or a name for frames in memory.
        sentence (str): The sentence.
        size (tuple[int, int]): Width and height of the video in pixels.
        tube (:obj:`Tube`): Span (end exclusive) and a box, in pixels, for
            every frame of the video.
        confidence (float): With a calibration the probability that the
            sentence is true of the video; without one ``span_score``.
        span_score (float): Joint probability of the span's start and end.
        calibrated (bool): Whether there was a calibration for videos of this
            kind (see :meth:`Calibration.covers`).
        threshold (float): Confidence that counts as found.
        attendance_score (float, optional): Mean probability, inside the span,
            that the object attends the event; None where a model predicts
            none.
        found (bool): Whether ``confidence`` reaches the threshold; if not,
            the sentence is taken not to happen in this video.
        spans (list[:obj:`ScoredSpan`]): The best spans, best first.
        frame_ids (np.ndarray): Frames that the model looked at, (T, ), int64.
        start (np.ndarray): Probability that the event starts there, (T, ).
        end (np.ndarray): Probability that it ends there, (T, ).
        attendance (np.ndarray, optional): Probability that the object attends
            the event there, (T, ).
        attention (np.ndarray, optional): Where the last layer of the spatial
            decoder looks, where asked for: weights of the cells of every
            sampled frame, (T, h, w).
        seconds (np.ndarray, optional): When each frame of the video is shown
            and when the last one ends, (N + 1, ).
    """

    sample_id: str
    video: str
    sentence: str
    size: Tuple[int, int]
    tube: Tube
    confidence: float
    span_score: float
    calibrated: bool
    threshold: float
    attendance_score: Optional[float]
    found: bool
    spans: List[ScoredSpan]
    frame_ids: np.ndarray
    start: np.ndarray
    end: np.ndarray
    attendance: Optional[np.ndarray]
    attention: Optional[np.ndarray] = None
    seconds: Optional[np.ndarray] = None

    @property
    def span(self) -> Tuple[int, int]:
        """First frame of the event and the one after its last, from 0."""
        return self.tube.span

    @property
    def span_seconds(self) -> Optional[Tuple[float, float]]:
        """The span in seconds; None if the frame rate is not known."""
        if self.seconds is not None:
            start, end = self.seconds[list(self.span)]
            return float(start), float(end)
        fps = self.tube.fps
        return None if not fps else (self.span[0] / fps, self.span[1] / fps)

    def describe(self) -> str:
        """Two lines for people: what was asked, and what was found."""
        return describe(self.to_dict())

    @property
    def clock(self) -> Optional[FrameClock]:
        """When frames are shown; None if the frame rate is not known."""
        return self.tube.fps if self.seconds is None else self.seconds

    @property
    def boxes(self) -> np.ndarray:
        """(x1, y1, x2, y2) in pixels for every frame, (N, 4), float64."""
        return self.tube.boxes

    @classmethod
    def from_sample(cls,
                    sample: TubeDataSample,
                    score_thr: Optional[float] = None,
                    calibration: Optional[Calibration] = None,
                    seconds: Optional[np.ndarray] = None) -> 'TubeResult':
        """Read a predicted sample.

        Args:
            sample (:obj:`TubeDataSample`): With ``pred_*`` fields.
            score_thr (float, optional): Confidence that counts as found;
                default: the calibration's, or 0 without one.
            calibration (:obj:`Calibration`, optional): Of the model.
            seconds (np.ndarray, optional): When the frames are shown.
        """
        attendance = sample.get('pred_attendance', None)
        if attendance is not None and not len(attendance):
            attendance = None
        height, width = sample.ori_shape
        if calibration is not None and not calibration.covers(width, height):
            calibration = None
        spans = [ScoredSpan(int(s), int(e), float(p))
                 for s, e, p in sample.get('pred_spans', ())]
        confidence = float(sample.pred_score) if calibration is None else \
            calibration.confidence(score_features(sample))
        if score_thr is None:
            score_thr = 0.0 if calibration is None else calibration.threshold
        return cls(
            sample_id=sample.sample_id,
            video=sample.video_path,
            sentence=sample.sentence,
            size=(int(width), int(height)),
            tube=sample.pred_tube,
            confidence=confidence,
            span_score=float(sample.pred_score),
            calibrated=calibration is not None,
            threshold=float(score_thr),
            attendance_score=_mean_inside(sample, attendance),
            found=confidence >= score_thr,
            spans=spans,
            frame_ids=np.asarray(sample.frame_ids),
            start=np.asarray(sample.pred_start),
            end=np.asarray(sample.pred_end),
            attendance=attendance,
            attention=sample.get('pred_attention', None),
            seconds=seconds)

    def to_dict(self) -> dict:
        """An entry of a tube file with what else is known, for JSON."""
        out = self.tube.to_dict()
        out.update(
            video=self.video,
            sentence=self.sentence,
            width=self.size[0],
            height=self.size[1],
            span_seconds=None if self.span_seconds is None else list(
                self.span_seconds),
            confidence=self.confidence,
            span_score=self.span_score,
            calibrated=self.calibrated,
            threshold=self.threshold,
            attendance_score=self.attendance_score,
            found=self.found,
            spans=[dict(s._asdict()) for s in self.spans],
            sampled_frames=self.frame_ids.tolist(),
            start=_rounded(self.start),
            end=_rounded(self.end),
            attendance=_rounded(self.attendance))
        if self.attention is not None:
            out['attention'] = np.round(self.attention, 6).tolist()
        if self.seconds is not None and not keeps_rate(
                self.seconds, self.tube.fps, STEADY_SECONDS):
            out['seconds'] = _rounded(self.seconds)
        return out

    @classmethod
    def from_dict(cls, sample_id: str, entry: dict) -> 'TubeResult':
        """Read what :meth:`to_dict` gave.

        Args:
            sample_id (str): Key of the entry in its file.
            entry (dict): The entry.

        Raises:
            ValueError: If it is not of that form, such as an entry of a tube
                file that is no inferencer's.
        """
        try:
            arrays = {
                key: None if entry.get(key) is None else np.array(entry[key])
                for key in ('attendance', 'attention', 'seconds')
            }
            return cls(
                sample_id=sample_id,
                size=(entry['width'], entry['height']),
                tube=Tube.from_dict(entry),
                spans=[ScoredSpan(**span) for span in entry['spans']],
                frame_ids=np.array(entry['sampled_frames'], dtype=np.int64),
                start=np.array(entry['start']),
                end=np.array(entry['end']),
                **arrays,
                **{key: entry[key] for key in PLAIN_FIELDS})
        except (AttributeError, KeyError, TypeError) as e:
            raise ValueError(f'not a result of the inferencer: {e!r}') from e


def describe(entry: dict) -> str:
    """What an entry of a tube file says, in two lines for people."""
    start, end = entry['span']
    text = f'frames {start} to {end - 1}'
    if entry['span_seconds'] is not None:
        text += ' ({:.2f} s to {:.2f} s)'.format(*entry['span_seconds'])
    text += f", confidence {entry['confidence']:.3f}"
    if not entry['found']:
        text = f'not in this video: best guess {text}'
    return f"{entry['video']}: \"{entry['sentence']}\"\n  {text}"


def _mean_inside(sample: TubeDataSample,
                 attendance: Optional[np.ndarray]) -> Optional[float]:
    """Mean attendance over the sampled frames inside the predicted span."""
    if attendance is None:
        return None
    ids = np.asarray(sample.frame_ids)
    start, end = sample.pred_tube.span
    inside = (ids >= start) & (ids < end)
    return float(attendance[inside].mean()) if inside.any() else 0.0


def _rounded(values: Optional[np.ndarray]) -> Optional[List[float]]:
    """Six digits are plenty for a probability."""
    return None if values is None else [round(float(v), 6) for v in values]


def dump_results(results: Sequence[TubeResult],
                 path: Union[str, os.PathLike],
                 **extra: Any) -> None:
    """Write results as a tube file; every tool that reads tubes reads it.

    Args:
        results (Sequence[:obj:`TubeResult`]): With different sample ids.
        path (str | os.PathLike): File to write; its folder is created.
        **extra: What else every entry is to say.
    """
    write_json({r.sample_id: {**r.to_dict(), **extra} for r in results}, path)


def load_results(path: Union[str, os.PathLike]) -> List[TubeResult]:
    """Read the file that :func:`dump_results` wrote.

    Args:
        path (str | os.PathLike): ``tubes.json`` of the inferencer.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is another file; names the entry.
    """
    results = []
    for sample_id, entry in read_tube_file(path).items():
        try:
            results.append(TubeResult.from_dict(sample_id, entry))
        except ValueError as e:
            raise ValueError(f'{path}, entry {sample_id!r}: {e}') from e
    return results
