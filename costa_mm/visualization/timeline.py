# Copyright (c) costa_mm authors. All rights reserved.
"""What the model says over time, as a picture.

Matplotlib is imported when the first picture is drawn.
"""
from typing import TYPE_CHECKING, Optional, Sequence, Tuple

import numpy as np

from costa_mm.utils.frames import FrameClock, frames_at, seconds_at
from .text import find_font, wrap_text
from .tracks import Color

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Span = Tuple[int, int]
TITLE_POINTS = 11
MAX_SPANS = 5
START_COLOR, END_COLOR = '#0072B2', '#D55E00'
ATTENDANCE_COLOR, PRED_COLOR, TRUTH_COLOR = '#009E73', '#E69F00', '#444444'


def plot_timeline(frame_ids: Sequence[int],
                  start: Sequence[float],
                  end: Sequence[float],
                  attendance: Optional[Sequence[float]] = None,
                  *,
                  num_frames: int,
                  fps: Optional[FrameClock] = None,
                  pred_span: Optional[Span] = None,
                  gt_span: Optional[Span] = None,
                  pred_spans: Sequence[Tuple[int, int, float]] = (),
                  sentence: str = '',
                  pred_color: Optional[Color] = None,
                  dpi: int = 110) -> np.ndarray:
    """Start and end distributions, attendance and spans of one sentence.

    Args:
        frame_ids (Sequence[int]): Sampled frames of the source video, (T, ).
        start (Sequence[float]): Probability that the event starts there,
            (T, ).
        end (Sequence[float]): Probability that it ends there, (T, ).
        attendance (Sequence[float], optional): Probability that the object
            attends the event there, (T, ).
        num_frames (int): Length of the video in frames.
        fps (float or np.ndarray, optional): Frames per second, or when each
            frame is shown (``FrameClock``): the axis also counts seconds.
        pred_span (tuple[int, int], optional): Predicted span, end exclusive.
        gt_span (tuple[int, int], optional): True span, end exclusive.
        pred_spans (Sequence[tuple[int, int, float]]): Best spans with their
            probabilities; up to ``MAX_SPANS`` are drawn.
        sentence (str): Title.
        pred_color (tuple[int, int, int], optional): Colour of the predicted
            spans, that of the tube in the video.
        dpi (int): Pixels per inch; the picture is 9 inches wide.

    Returns:
        np.ndarray: RGB picture, uint8.

    Raises:
        ValueError: If the arrays differ in length.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import to_hex
    from matplotlib.figure import Figure
    lengths = {len(x) for x in (frame_ids, start, end, attendance)
               if x is not None}
    if len(lengths) != 1:
        raise ValueError('frame_ids, start, end and attendance must be of '
                         f'one length, not {sorted(lengths)}')
    color = PRED_COLOR if pred_color is None else to_hex(
        np.asarray(pred_color) / 255)
    bars = _span_rows(pred_span, gt_span, pred_spans, color)
    figure = Figure(figsize=(9, 3.6 + 0.2 * len(bars)), dpi=dpi,
                    layout='constrained')
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(
        3, 1, sharex=True,
        height_ratios=(2.2, 1.1, 0.25 + 0.25 * len(bars)))
    _draw_distributions(axes[0], frame_ids, start, end)
    _draw_attendance(axes[1], frame_ids, attendance)
    _draw_spans(axes[2], bars)
    _shade(axes[:2], pred_span, gt_span, color)
    _finish(figure, axes, num_frames, fps, sentence)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _span_rows(pred_span, gt_span, pred_spans, color: str) -> list:
    """Rows of the lowest panel: (name, span, colour, opacity)."""
    rows = []
    if gt_span is not None:
        rows.append(('truth', gt_span, TRUTH_COLOR, 1.0))
    scores = {(int(a), int(b)): score for a, b, score in pred_spans}
    if pred_span is not None:
        score = scores.pop(tuple(pred_span), None)
        name = 'model' if score is None else f'model, p={score:.2f}'
        rows.append((name, pred_span, color, 1.0))
    for span, score in list(scores.items())[:MAX_SPANS]:
        rows.append((f'or p={score:.2f}', span, color, 0.4))
    return rows


def _draw_distributions(axis: 'Axes', frame_ids, start, end) -> None:
    for values, color, name in ((start, START_COLOR, 'start'),
                                (end, END_COLOR, 'end')):
        axis.plot(frame_ids, values, color=color, lw=1.6, label=name,
                  marker='.', ms=4)
        axis.fill_between(frame_ids, values, color=color, alpha=0.2)
    axis.set_ylabel('probability')
    axis.set_ylim(0, 1.25 * max(np.max(start), np.max(end), 1e-6))
    axis.legend(loc='upper right', frameon=False, ncols=2)  # in the headroom


def _draw_attendance(axis: 'Axes', frame_ids, attendance) -> None:
    axis.set_ylim(0, 1.05)
    axis.set_ylabel('attendance')
    if attendance is None:
        axis.text(0.5, 0.5, 'this model predicts none', ha='center',
                  va='center', transform=axis.transAxes, color='0.5')
        return
    axis.fill_between(frame_ids, attendance, color=ATTENDANCE_COLOR,
                      alpha=0.3)
    axis.plot(frame_ids, attendance, color=ATTENDANCE_COLOR, lw=1.4)
    axis.axhline(0.5, color='0.7', lw=0.8, ls=':')


def _draw_spans(axis: 'Axes', rows: list) -> None:
    for y, (_, (first, last), color, alpha) in enumerate(rows):
        axis.barh(y, last - first, left=first, height=0.7, color=color,
                  alpha=alpha)
    axis.set_yticks(range(len(rows)), [name for name, *_ in rows])
    axis.set_ylim(len(rows) - 0.4, -0.6)  # the first row on top
    axis.tick_params(axis='y', length=0)


def _shade(axes: Sequence['Axes'], pred_span, gt_span, color: str) -> None:
    """Predicted span as a tint, true span as dashed lines."""
    for axis in axes:
        if pred_span is not None:
            axis.axvspan(*pred_span, color=color, alpha=0.13, lw=0)
        for frame in gt_span or ():
            axis.axvline(frame, color=TRUTH_COLOR, ls='--', lw=1)


def _finish(figure: 'Figure', axes: Sequence['Axes'], num_frames: int,
            fps: Optional[FrameClock], sentence: str) -> None:
    for axis in axes:
        axis.spines[['top', 'right']].set_visible(False)
    axes[-1].set_xlim(0, num_frames)
    axes[-1].set_xlabel('frame')
    if fps is not None:
        seconds = axes[0].secondary_xaxis(
            'top', functions=(lambda f: seconds_at(f, fps),
                              lambda s: frames_at(s, fps)))
        seconds.set_xlabel('seconds')
    if sentence:
        from matplotlib.font_manager import FontProperties
        pixels = int(round(TITLE_POINTS * figure.dpi / 72))
        title = wrap_text(sentence, pixels,
                          int(0.95 * figure.get_figwidth() * figure.dpi))
        # A dollar sign would start matplotlib's formula mode.
        figure.suptitle(
            '\n'.join(title),
            parse_math=False,
            fontproperties=FontProperties(
                fname=find_font(sentence), size=TITLE_POINTS))
    figure.align_ylabels(list(axes[:2]))
