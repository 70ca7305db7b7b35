# Copyright (c) costa_mm authors. All rights reserved.
"""Draws tubes on frames: caption above, time line below, boxes between."""
from typing import List, Optional, Sequence, Tuple

import cv2
import numpy as np

from costa_mm.utils.frames import FrameClock, seconds_at
from .caption import TEXT, blank_strip, caption_strip
from .text import line_height, put_text, text_width
from .tracks import Color, TubeTrack

PixelBox = Tuple[int, int, int, int]
RAIL: Color = (62, 66, 74)
FAINT = 0.65  # opacity of boxes outside the span
DASH, GAP = 8, 6


class TubePainter:
    """Draws one video's tubes frame by frame.

    The picture is the frame, enlarged if it is small, with a strip above that
    holds the sentences and a strip below with one time line per tube: the
    span is the coloured part, the white mark is now.  Inside the span a box
    is solid and thick, outside it is thin and faint.

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
        self.font = int(np.clip(self.size[1] / 36, 12, 22))
        self.thickness = max(2, round(min(self.size) / 160))
        head = caption_strip(self.tracks if caption else [], self.size[1],
                             self.font)
        self.top = head.shape[0]
        self.canvas = np.concatenate([
            head,
            np.zeros((*self.size, 3), np.uint8), self._timeline_strip()
        ])

    @property
    def shape(self) -> Tuple[int, int]:
        """Height and width of the pictures, both even."""
        return self.canvas.shape[:2]

    def draw(self, frame: np.ndarray, frame_id: int) -> np.ndarray:
        """Draw all tubes on one frame.

        Args:
            frame (np.ndarray): RGB, (H, W, 3), uint8; not changed.
            frame_id (int): Its number in the video, from 0.

        Returns:
            np.ndarray: RGB picture of :attr:`shape`, uint8.

        Raises:
            ValueError: If the frame has another size than the video.
        """
        canvas = self.canvas.copy()
        canvas[self.top:self.top + self.size[0]] = self.draw_boxes(
            frame, frame_id)
        self._draw_now(canvas, frame_id)
        return canvas

    def draw_boxes(self, frame: np.ndarray, frame_id: int) -> np.ndarray:
        """The (resized) frame with boxes, without caption and time line."""
        if frame.shape != (*self.frame_shape, 3) or frame.dtype != np.uint8:
            raise ValueError(f'a frame is {frame.dtype} of {frame.shape}, the '
                             f'video is uint8 of {(*self.frame_shape, 3)}')
        height, width = self.size
        if frame.shape[:2] == self.size:
            picture = frame.copy()
        else:
            mode = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_CUBIC
            picture = cv2.resize(frame, (width, height), interpolation=mode)
        seen = [(track, self._place(track.box(frame_id)))
                for track in self.tracks
                if track.box(frame_id) is not None]
        for track, box in seen:
            self._draw_box(picture, box, track, track.is_inside(frame_id))
        tags: List[PixelBox] = []
        for track, box in seen:
            if track.label and track.is_inside(frame_id):
                tags.append(self._draw_label(picture, track, box, tags))
        return picture

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

    def _timeline_strip(self) -> np.ndarray:
        """One rail per tube with its span in colour, and room for a clock."""
        step, margin = line_height(self.font), self.font // 2
        strip = blank_strip(
            _even((len(self.tracks) + 1) * step + 2 * margin), self.size[1])
        names = [text_width(t.label, self.font) for t in self.tracks]
        self.rail = (2 * margin + max(names, default=0),
                     self.size[1] - 2 * margin)
        for i, track in enumerate(self.tracks):
            middle = margin + i * step + step // 2
            put_text(strip, track.label, (margin, margin + i * step),
                     self.font, track.color)
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
        end = top + len(self.tracks) * step
        cv2.line(canvas, (x, top - 2), (x, end), (255, 255, 255), 2)
        clock = f'frame {frame_id} of {self.num_frames}'
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
