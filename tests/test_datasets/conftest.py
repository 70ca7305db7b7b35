# Copyright (c) costa_mm authors. All rights reserved.
"""Small videos whose frames show their own number."""
import json
from fractions import Fraction
from pathlib import Path
from typing import Callable, Optional, Sequence

import av
import numpy as np
import pytest

BITS = 9
CELL = 16


def numbered_frame(number: int, height: int = 64, width: int = 96):
    """A picture, (H, W, 3), that shows ``number`` as black and white cells;
    its left edge is red and its right edge blue."""
    image = np.full((height, width, 3), 96, dtype=np.uint8)
    image[:, :6], image[:, -6:] = (200, 20, 20), (20, 20, 200)
    for bit in range(BITS):
        row, col = divmod(bit, 3)
        value = 235 if number >> bit & 1 else 16
        image[row * CELL:(row + 1) * CELL,
              8 + col * CELL:8 + (col + 1) * CELL] = value
    return image


def read_number(image: np.ndarray) -> int:
    """The number that a decoded frame shows."""
    number = 0
    for bit in range(BITS):
        row, col = divmod(bit, 3)
        cell = image[row * CELL + 4:(row + 1) * CELL - 4,
                     12 + col * CELL:4 + (col + 1) * CELL]
        number |= int(cell.mean() > 125) << bit
    return number


def write_video(path: Path,
                num_frames: int = 48,
                *,
                size: tuple = (64, 96),
                codec: str = 'libx264',
                options: Optional[dict] = None,
                pts: Optional[Sequence[int]] = None,
                fps: int = 24) -> Path:
    """Write a video of numbered frames; ``pts`` in 1/fps seconds."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(
            codec, rate=fps, options=options or dict(g='12', bf='2'))
        stream.height, stream.width = size
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.time_base = Fraction(1, fps)
        for i in range(num_frames):
            frame = av.VideoFrame.from_ndarray(
                numbered_frame(i, *size), format='rgb24')
            frame.pts = i if pts is None else pts[i]
            frame.time_base = Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def break_last_packet(clip: Path, path: Path) -> Path:
    """Copy a video; the container lists a last frame that it lacks."""
    with av.open(str(clip)) as source, av.open(str(path), 'w') as target:
        stream = source.streams.video[0]
        out = target.add_stream_from_template(stream)
        packets = [p for p in source.demux(stream) if p.size]
        last = max(packets, key=lambda p: p.pts)
        for packet in packets:
            if packet is last:
                broken = av.Packet(b'\0\0\0\1\0')
                broken.pts, broken.dts = packet.pts, packet.dts
                broken.time_base = packet.time_base
                packet = broken
            packet.stream = out
            target.mux(packet)
    return path


@pytest.fixture(scope='session')
def clip(tmp_path_factory) -> Path:
    """48 numbered frames, 96 x 64, 24 frames/s."""
    return write_video(tmp_path_factory.mktemp('clips') / 'clip.mp4')


@pytest.fixture
def make_ann(tmp_path) -> Callable:
    """Write an annotation file into the test's folder."""

    def write(content, name: str = 'ann.json') -> str:
        path = tmp_path / name
        path.write_text(
            content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


@pytest.fixture
def v1_entry() -> dict:
    """An entry of the v1 schema that fits ``clip``: frames 10 to 29."""
    return dict(
        bbox=[[10 + i, 8, 30, 40] for i in range(20)],
        st_time=10 / 24,
        ed_time=30 / 24,
        st_frame=11,
        img_num=48,
        width=96,
        height=64,
        caption='The man on the left turns right.')
