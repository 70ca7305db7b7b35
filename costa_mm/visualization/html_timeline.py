# Copyright (c) costa_mm authors. All rights reserved.
"""Timelines for web pages: a click or a drag seeks in a video beside them."""
import html
from typing import Optional, Sequence, Tuple

import numpy as np

from costa_mm.utils.frames import FrameClock, seconds_at
from .tracks import Color

WIDTH, HEIGHT = 1000, 48  # of a curve's coordinates, stretched to the page
NUM_TICKS = 5
NUM_PACES = 200  # parts of a video of an uneven rate

#: Colours follow the page's: ``.dark`` is set by Gradio's dark mode.
CSS = """
.timeline {margin: 0 0 18px; --start: #0072B2; --end: #D55E00;
  --attend: #009E73; font-size: 0.9em}
.dark .timeline, .timeline.dark {--start: #56B4E9; --end: #FF9A5C;
  --attend: #3DDBAA}
.timeline.absent {opacity: 0.55}
.timeline figcaption {margin-bottom: 4px; overflow-wrap: anywhere}
.timeline .mark {display: inline-block; width: 0.9em; height: 0.9em;
  border-radius: 3px; vertical-align: -0.1em; margin-right: 0.4em}
.timeline .lanes {position: relative; cursor: ew-resize; touch-action: pan-y;
  user-select: none; -webkit-user-select: none}
.timeline svg {display: block; width: 100%; height: 42px; margin-top: 2px;
  background: color-mix(in srgb, currentColor 6%, transparent)}
.timeline svg.bars {height: 22px}
.timeline .name {display: block; pointer-events: none; font-size: 0.85em}
.timeline .now {position: absolute; top: 0; bottom: 0; width: 2px; left: 0;
  background: currentColor; pointer-events: none}
.timeline .ticks {display: flex; justify-content: space-between;
  opacity: 0.75; font-size: 0.85em}
"""

#: Seeks in the video of the timeline's own ``.grounded`` part of the page, or
#: in the first one inside ``#output-video``.
SCRIPT = """
(() => {
  const home = node => node.closest('.grounded') || document;
  const video = place => place === document
    ? document.querySelector('#output-video video')
    : place.querySelector('video');
  // Lanes are even in frames; data-pace says how far in time the video is.
  const pace = place => {
    const lanes = place.querySelector('.timeline .lanes');
    return (lanes && lanes.dataset.pace || '0 1').split(' ').map(Number);
  };
  const toTime = (place, share) => {
    const p = pace(place), n = p.length - 1;
    const i = Math.min(Math.floor(share * n), n - 1);
    return p[i] + (share * n - i) * (p[i + 1] - p[i]);
  };
  const toShare = (place, time) => {
    const p = pace(place), n = p.length - 1;
    let i = 0;
    while (i < n - 1 && p[i + 1] <= time) i++;
    return (i + (time - p[i]) / (p[i + 1] - p[i])) / n;
  };
  let held = null;
  const seek = (place, share) => {
    const v = video(place);
    share = Math.min(1, Math.max(0, share));
    if (v && isFinite(v.duration))
      v.currentTime = toTime(place, share) * v.duration;
    mark(place, share);
  };
  const mark = (place, share) =>
    place.querySelectorAll('.timeline .lanes').forEach(lanes => {
      lanes.querySelector('.now').style.left = 100 * share + '%';
      lanes.setAttribute('aria-valuenow', Math.round(100 * share));
    });
  const at = (lanes, event) => {
    const box = lanes.getBoundingClientRect();
    return (event.clientX - box.left) / box.width;
  };
  const follow = event => seek(home(held), at(held, event));
  addEventListener('pointerdown', event => {
    held = event.target.closest && event.target.closest('.timeline .lanes');
    if (!held) return;
    const v = video(home(held));
    if (v) v.pause();
    follow(event);
  });
  addEventListener('pointermove', event => { if (held) follow(event); });
  addEventListener('pointerup', () => { held = null; });
  addEventListener('pointercancel', () => { held = null; });
  addEventListener('keydown', event => {
    const lanes = event.target.closest && event.target.closest('.lanes');
    const step = {ArrowLeft: -0.01, ArrowRight: 0.01}[event.key];
    const v = lanes && video(home(lanes));
    if (v && step) {
      const place = home(lanes);
      seek(place, toShare(place, v.currentTime / v.duration) + step);
      event.preventDefault();
    }
  });
  document.addEventListener('timeupdate', event => {
    const v = event.target, place = home(v);
    if (v === video(place) && !held)
      mark(place, toShare(place, v.currentTime / v.duration));
  }, true);
})();
"""


def html_timeline(frame_ids: Sequence[int],
                  start: Sequence[float],
                  end: Sequence[float],
                  attendance: Optional[Sequence[float]] = None,
                  *,
                  num_frames: int,
                  spans: Sequence[Tuple[int, int, float]],
                  color: Color,
                  fps: Optional[FrameClock] = None,
                  title: str = '',
                  found: bool = True) -> str:
    """A timeline as HTML, to stand in a page with ``CSS`` and ``SCRIPT``.

    Args:
        frame_ids (Sequence[int]): Sampled frames of the source video, (T, ).
        start (Sequence[float]): Probability that the event starts there,
            (T, ).
        end (Sequence[float]): Probability that it ends there, (T, ).
        attendance (Sequence[float], optional): Probability that the object
            takes part in the event there, (T, ).
        num_frames (int): Length of the video in frames.
        spans (Sequence[tuple[int, int, float]]): Spans with their
            probabilities, the model's answer first.
        color (tuple[int, int, int]): Of the sentence's tube.
        fps (float or np.ndarray, optional): Frames per second, or when each
            frame is shown (``FrameClock``).
        title (str): Text above, escaped here.
        found (bool): Whether the event is taken to be in the video; if not,
            the timeline is greyed.
    """
    paint = 'rgb({}, {}, {})'.format(*color)
    places = (np.asarray(frame_ids) + 0.5) / num_frames * WIDTH
    top = max(np.max(start), np.max(end), 1e-6)
    lanes = [
        _lane('<span style="color: var(--start)">starts</span> or <span '
              'style="color: var(--end)">ends</span> here',
              _curve(places, start, top, '--start') +
              _curve(places, end, top, '--end'))
    ]
    if attendance is not None:
        lanes.append(_lane('<span style="color: var(--attend)">the object '
                           'takes part</span>',
                           _curve(places, attendance, 1, '--attend')))
    bars = ''.join(
        f'<rect x="{a / num_frames * WIDTH:.1f}" y="{4 if i else 0}" '
        f'width="{max(1, (b - a) / num_frames * WIDTH):.1f}" '
        f'height="{8 if i else 22}" style="fill: {paint}" '
        f'opacity="{0.25 if i else 1}"><title>{span_text(a, b, fps)}, '
        f'p = {score:.2f}</title></rect>'
        for i, (a, b, score) in reversed(list(enumerate(spans))))
    lanes.append(
        f'<svg class="bars" viewBox="0 0 {WIDTH} 22" '
        f'preserveAspectRatio="none">{bars}</svg>')
    hidden = '' if found else ' absent'
    return (f'<figure class="timeline{hidden}"><figcaption><span class="mark"'
            f' style="background: {paint}"></span>{html.escape(title)}'
            f'</figcaption><div class="lanes"{_pace(num_frames, fps)} '
            'role="slider" tabindex="0" '
            'aria-label="place in the video" aria-valuemin="0" '
            'aria-valuemax="100" aria-valuenow="0">' + ''.join(lanes) +
            f'<span class="now"></span></div>{_ticks(num_frames, fps)}'
            '</figure>')


def _pace(num_frames: int, fps: Optional[FrameClock]) -> str:
    """How far in time the video is after equal parts of its frames."""
    if np.ndim(fps) == 0:  # at an even rate as far as in frames
        return ''
    frames = np.linspace(0, num_frames, min(num_frames, NUM_PACES) + 1)
    shares = seconds_at(frames, fps) / seconds_at(num_frames, fps)
    return f' data-pace="{" ".join(f"{share:.5g}" for share in shares)}"'


def _lane(name: str, curves: str) -> str:
    return (f'<span class="name">{name}</span><svg viewBox="0 0 {WIDTH} '
            f'{HEIGHT}" preserveAspectRatio="none">{curves}</svg>')


def _curve(places: np.ndarray, values: Sequence[float], top: float,
           color: str) -> str:
    """A line over a tint, in a colour of the style sheet."""
    heights = HEIGHT - 3 - np.asarray(values, float) / top * (HEIGHT - 6)
    line = ' '.join(f'{x:.1f},{y:.1f}' for x, y in zip(places, heights))
    area = f'{places[0]:.1f},{HEIGHT} {line} {places[-1]:.1f},{HEIGHT}'
    return (f'<polygon points="{area}" style="fill: var({color})" '
            f'opacity="0.2"/><polyline points="{line}" fill="none" '
            f'style="stroke: var({color})" stroke-width="2" '
            'vector-effect="non-scaling-stroke"/>')


def span_text(first: int, last: int, fps: Optional[FrameClock]) -> str:
    """A span in words.

    Args:
        first (int): Its first frame.
        last (int): The frame after its last one.
        fps (float or np.ndarray, optional): See ``FrameClock``.
    """
    if fps is None:
        return f'frames {first} to {last - 1}'
    a, b = (seconds_at(x, fps) for x in (first, last))
    return f'{a:.2f} s to {b:.2f} s'


def _ticks(num_frames: int, fps: Optional[FrameClock]) -> str:
    frames = np.linspace(0, num_frames, NUM_TICKS)
    texts = [f'{f:.0f}' for f in frames] if fps is None else [
        f'{seconds_at(f, fps):.1f} s' for f in frames
    ]
    return ('<div class="ticks">' +
            ''.join(f'<span>{t}</span>' for t in texts) + '</div>')
