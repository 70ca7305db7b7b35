# Copyright (c) costa_mm authors. All rights reserved.
"""Draws tubes on frames: caption above, time line below, boxes between."""
from typing import Iterable, Iterator, List, Optional, Sequence, Tuple

import cv2
import numpy as np

from costa_mm.utils.frames import FrameClock, seconds_at
from .caption import TEXT, blank_strip, caption_strip
from .text import line_height, put_text, shorten, text_width
from .tracks import Color, TubeTrack

PixelBox = Tuple[int, int, int, int]
RAIL: Color = (62, 66, 74)
FAINT = 0.65  # opacity of boxes outside the span
MIN_WIDTH = 320  # room for words beside a narrow frame, in pixels
MAX_RAILS = 24
DASH, GAP = 8, 6


class TubePainter:
    """Draws one video's tubes frame by frame.

    The picture is the frame, enlarged if it is small, with a strip above that
    holds the sentences and a strip below with one time line per tube: the
    span is the coloured part, the white mark is now.  Inside the span a box
    is solid and thick, outside it is thin and faint.  A frame narrower than
    ``MIN_WIDTH`` stands in the middle; of more than ``MAX_RAILS`` tubes only
    so many have a time line.  So no picture is larger than its limits,
    whatever the shape of the video.

    Args:
        frame_shape (tuple[int, int]): Height and width of the video.
        num_frames (int): Length of the video in frames.
        tracks (Sequence[:obj:`TubeTrack`]): What to draw; the last on top.
        fps (float or np.ndarray, optional): Frames per second, or when
            each frame is shown (``FrameClock``), for the clock.
        min_side (int): Frames are enlarged until their short side has this
            many pixels.
        max_side (int): Frames are reduced until their long side has at most
            this many pixels.
        scale (float, optional): Enlarges by this factor instead.
        caption (bool): Whether sentences are written above the frame.

    Raises:
        ValueError: If the frame or the video is empty.
    """

    def __init__(self,
                 *,
                 frame_shape: Tuple[int, int],
                 num_frames: int,
                 tracks: Sequence[TubeTrack],
                 fps: Optional[FrameClock] = None,
                 min_side: int = 360,
                 max_side: int = 1280,
                 scale: Optional[float] = None,
                 caption: bool = True) -> None:
        height, width = frame_shape
        if min(height, width, num_frames) < 1:
            raise ValueError(f'nothing to draw: {num_frames} frames of '
                             f'{width}x{height} pixels')
        self.frame_shape = (int(height), int(width))
        self.num_frames = int(num_frames)
        self.tracks = list(tracks)
        self.fps = fps
        self.scale = scale or min(
            max(1.0, min_side / min(height, width)),
            max_side / max(height, width))
        # H.264 in yuv420p needs even sizes.
        self.size = (_even(height * self.scale), _even(width * self.scale))
        wide = max(self.size[1], MIN_WIDTH)
        self.font = int(np.clip(wide / 36, 12, 22))
        self.thickness = max(2, round(min(self.size) / 160))
        head = caption_strip(self.tracks if caption else [], wide, self.font)
        self.top, self.left = len(head), (wide - self.size[1]) // 2
        self.canvas = np.concatenate([
            head,
            np.zeros((self.size[0], wide, 3), np.uint8),
            self._timeline_strip(wide)
        ])

    @property
    def shape(self) -> Tuple[int, int]:
        """Height and width of the pictures, both even."""
        return self.canvas.shape[:2]

    def draw(self,
             frame: np.ndarray,
             frame_id: int,
             out: Optional[np.ndarray] = None) -> np.ndarray:
        """Draw all tubes on one frame.

        Args:
            frame (np.ndarray): RGB, (H, W, 3), uint8; not changed.
            frame_id (int): Its number in the video, from 0.
            out (np.ndarray, optional): Picture to paint over.

        Returns:
            np.ndarray: RGB picture of :attr:`shape`, uint8.

        Raises:
            ValueError: If the frame has another size than the video.
        """
        canvas = np.empty_like(self.canvas) if out is None else out
        np.copyto(canvas, self.canvas)
        self._renew(canvas, frame, frame_id)
        return canvas

    def _renew(self, canvas: np.ndarray, frame: np.ndarray,
               frame_id: int) -> None:
        """Draw on a canvas what differs from frame to frame."""
        foot = self.top + self.size[0]
        picture = canvas[self.top:foot, self.left:self.left + self.size[1]]
        picture[:] = self.fit(frame)
        self.paint(picture, frame_id)
        canvas[foot:] = self.canvas[foot:]
        self._draw_now(canvas, frame_id)

    def pictures(self, frames: Iterable[np.ndarray],
                 frame_ids: Iterable[int]) -> Iterator[np.ndarray]:
        """What :meth:`draw` gives for each frame, all in one array.

        Yields:
            np.ndarray: RGB picture, valid until the next one.
        """
        canvas = self.canvas.copy()
        for frame, frame_id in zip(frames, frame_ids):
            self._renew(canvas, frame, int(frame_id))
            yield canvas

    def draw_boxes(self, frame: np.ndarray, frame_id: int) -> np.ndarray:
        """The (resized) frame with boxes, without caption and time line."""
        picture = self.fit(frame).copy()
        self.paint(picture, frame_id)
        return picture

    def fit(self, frame: np.ndarray) -> np.ndarray:
        """A frame of the video at the size at which it is drawn."""
        if frame.shape != (*self.frame_shape, 3) or frame.dtype != np.uint8:
            raise ValueError(f'a frame is {frame.dtype} of {frame.shape}, the '
                             f'video is uint8 of {(*self.frame_shape, 3)}')
        if frame.shape[:2] == self.size:
            return frame
        mode = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_CUBIC
        return cv2.resize(frame, self.size[::-1], interpolation=mode)

    def paint(self, picture: np.ndarray, frame_id: int) -> None:
        """Draw the boxes of a frame on what :meth:`fit` made of it."""
        seen = [(track, self._place(track.box(frame_id)))
                for track in self.tracks
                if track.box(frame_id) is not None]
        for track, box in seen:
            self._draw_box(picture, box, track, track.is_inside(frame_id))
        tags: List[PixelBox] = []
        for track, box in seen:
            if track.label and track.is_inside(frame_id):
                tags.append(self._draw_label(picture, track, box, tags))

    def _place(self, box: np.ndarray) -> PixelBox:
        """Corners of a box on the resized frame."""
        corners = np.rint(np.asarray(box) * self.scale).astype(int)
        limit = np.array(self.size[::-1] * 2) - 1
        return tuple(int(c) for c in np.clip(corners, 0, limit))

    def _draw_box(self, picture: np.ndarray, box: PixelBox,
                  track: TubeTrack, inside: bool) -> None:
        if inside:
            # The dark rim keeps bright lines visible on bright ground.
            _rectangle(picture, box, (0, 0, 0),
                       self.thickness + (0 if track.dashed else 2))
            _rectangle(picture, box, track.color, self.thickness,
                       track.dashed)
            return
        x1, y1, x2, y2 = box
        area = picture[y1:y2 + 1, x1:x2 + 1]
        layer = area.copy()
        _rectangle(layer, (0, 0, x2 - x1, y2 - y1), track.color,
                   max(1, self.thickness // 2), track.dashed)
        area[:] = cv2.addWeighted(layer, FAINT, area, 1 - FAINT, 0)

    def _draw_label(self, picture: np.ndarray, track: TubeTrack,
                    box: PixelBox, taken: Sequence[PixelBox]) -> PixelBox:
        """A tag on the box: truth at its foot, predictions on its head.

        Tags of boxes that coincide stand side by side.
        """
        x1, y1, x2, y2 = box
        high = line_height(self.font)
        wide = text_width(track.label, self.font) + 8
        y = y2 + 1 if track.dashed else y1 - high
        x = x2 - wide if track.dashed else x1
        y = int(np.clip(y, 0, picture.shape[0] - high))
        for left, top, right, bottom in sorted(taken):
            if left < x + wide and x < right and top < y + high and y < bottom:
                x = right + 1
        x = int(np.clip(x, 0, max(0, picture.shape[1] - wide)))
        cv2.rectangle(picture, (x, y), (x + wide - 1, y + high - 1),
                      track.color, -1)
        put_text(picture, track.label, (x + 4, y), self.font, (0, 0, 0))
        return x, y, x + wide, y + high

    def _timeline_strip(self, wide: int) -> np.ndarray:
        """One rail per tube with its span in colour, and room for a clock."""
        step, margin = line_height(self.font), self.font // 2
        tracks = self.tracks[:MAX_RAILS]
        strip = blank_strip(_even((len(tracks) + 1) * step + 2 * margin), wide)
        names = [shorten(t.label, self.font, wide // 3) for t in tracks]
        longest = max((text_width(n, self.font) for n in names), default=0)
        self.rail = (2 * margin + longest, wide - 2 * margin)
        for i, (track, name) in enumerate(zip(tracks, names)):
            middle = margin + i * step + step // 2
            put_text(strip, name, (margin, margin + i * step), self.font,
                     track.color)
            self._draw_rail(strip, middle, (0, self.num_frames), RAIL,
                            max(1, step // 8))
            if track.tube.span is not None:
                self._draw_rail(strip, middle, track.tube.span, track.color,
                                max(2, step // 4))
        return strip

    def _draw_rail(self, strip: np.ndarray, middle: int, span: Tuple[int, int],
                   color: Color, half: int) -> None:
        left, right = self._at(span[0]), max(
            self._at(span[0]) + 1, self._at(span[1]))
        cv2.rectangle(strip, (left, middle - half), (right, middle + half),
                      color, -1)

    def _at(self, frame_id: float) -> int:
        """Place of a frame's left edge on the time line."""
        left, right = self.rail
        share = min(max(frame_id / self.num_frames, 0.0), 1.0)
        return int(round(left + share * (right - left)))

    def _draw_now(self, canvas: np.ndarray, frame_id: int) -> None:
        """The mark of the present frame and the clock."""
        step, margin = line_height(self.font), self.font // 2
        top = self.top + self.size[0] + margin
        x = self._at(frame_id + 0.5)
        end = top + len(self.tracks[:MAX_RAILS]) * step
        cv2.line(canvas, (x, top - 2), (x, end), (255, 255, 255), 2)
        clock = f'frame {frame_id} / {self.num_frames - 1}'
        if self.fps is not None:
            now, length = (seconds_at(i, self.fps)
                           for i in (frame_id, self.num_frames))
            clock += f'   {now:.2f} s of {length:.2f} s'
        put_text(canvas, clock, (margin, end + margin // 2), self.font, TEXT)


def _even(size: float) -> int:
    """The nearest even number of pixels, at least 2."""
    return max(2, 2 * int(round(size / 2)))


def _rectangle(image: np.ndarray, box: PixelBox, color: Color, thickness: int,
               dashed: bool = False) -> None:
    """A rectangle with a solid or a dashed line, in place."""
    x1, y1, x2, y2 = box
    if not dashed:
        cv2.rectangle(image, (x1, y1), (x2, y2), color, thickness)
        return
    for x in range(x1, x2 + 1, DASH + GAP):
        for y in (y1, y2):
            cv2.line(image, (x, y), (min(x + DASH, x2), y), color, thickness)
    for y in range(y1, y2 + 1, DASH + GAP):
        for x in (x1, x2):
            cv2.line(image, (x, y), (x, min(y + DASH, y2)), color, thickness)
