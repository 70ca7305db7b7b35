# Copyright (c) costa_mm authors. All rights reserved.
"""Files that recorders, cutters and downloads leave behind."""
import struct
from pathlib import Path
from typing import Optional

import av
import numpy as np


def sequential(path) -> list:
    """Stored pictures of a plain decode, from the first that decodes on."""
    frames = []
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            try:
                frames += [
                    f.to_ndarray(format='rgb24') for f in packet.decode()
                ]
            except av.InvalidDataError:
                assert not frames
    return frames


def check_exact(reader, path, frames, seed=0, alone=3):
    """Compare frames read together, alone, in any order and in a row."""
    n = len(frames)
    rng = np.random.default_rng(seed)
    asked = [np.linspace(0, n - 1, 7).astype(int), rng.permutation(n)[:9],
             [0, 0, n // 2], np.sort(rng.permutation(n)[:5])]
    asked += [[int(i)] for i in [n - 1, *rng.permutation(n)[:alone]]]
    for ids in asked:
        out = reader.read(str(path), ids)
        assert out.dtype == np.uint8 and len(out) == len(ids)
        for image, i in zip(out, ids):
            np.testing.assert_array_equal(image, frames[i], f'frame {i}')
    sums = reader.map(str(path), asked[1], np.sum)
    assert sums == [frames[i].sum() for i in asked[1]]
    for start in (0, int(rng.integers(1, n)), n - 1)[:2 + bool(alone)]:
        out = list(reader.stream(str(path), start))
        assert len(out) == n - start
        for i, image in enumerate(out, start):
            np.testing.assert_array_equal(image, frames[i], f'frame {i}')


def remux(source: Path, target: Path, first_key: int = 0,
          start: Optional[int] = None, key: bool = True) -> Path:
    """Copy packets without decoding, as a lossless cut does.

    Args:
        source (Path): A video.
        target (Path): The copy.
        first_key (int): Key frame, from 0, with which the copy begins.
        start (int, optional): Time stamp that becomes 0; packets shown
            before it are hidden by an edit list.
        key (bool): Begin with that key frame; False begins behind it.
    """
    with av.open(str(source)) as old, av.open(str(target), 'w') as new:
        stream = old.streams.video[0]
        out = new.add_stream_from_template(stream)
        seen = -1
        for packet in old.demux(stream):
            if not packet.size:
                continue
            seen += packet.is_keyframe
            if seen < first_key or (not key and seen == first_key
                                    and packet.is_keyframe):
                continue
            if start is not None:
                packet.pts -= start
                packet.dts -= start
            packet.stream = out
            new.mux(packet)
    return target


def turn(source: Path, target: Path, matrix: tuple) -> Path:
    """Copy an MP4 file with another display matrix (a, b, c, d)."""
    data = bytearray(source.read_bytes())
    at = data.index(b'tkhd') + 4 + 4 + 20 + 8 + 8
    a, b, c, d = (v << 16 for v in matrix)
    data[at:at + 36] = struct.pack('>9i', a, b, 0, c, d, 0, 0, 0, 1 << 30)
    target.write_bytes(data)
    return target
