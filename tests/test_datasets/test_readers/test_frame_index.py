# Copyright (c) costa_mm authors. All rights reserved.
from fractions import Fraction

import numpy as np
import pytest
from test_datasets.conftest import write_video
from test_datasets.test_readers.conftest import remux

from costa_mm.datasets import PyAVReader
from costa_mm.datasets.readers.frame_index import (FrameIndex, Packets,
                                                   index_from_frames,
                                                   index_from_packets,
                                                   nominal_rate, timeline,
                                                   typical_step)

MP4, TS = 'mov,mp4,m4a,3gp,3g2,mj2', 'mpegts'


def packets(pts, keys=(0, ), dts=None, hidden=()):
    count = range(len(pts))
    return Packets(pts, list(dts or count), [i in keys for i in count],
                   [i in hidden for i in count])


@pytest.mark.parametrize('given, container, codec, delays, expected', [
    (packets([0, 3, 1, 2, 4]), MP4, 'h264', True, True),
    (packets([0, 1, 2, 3, 4]), MP4, 'h264', False, True),
    (packets([0, 1, 2, 3, 4]), MP4, 'h264', True, False),  # times of decoding
    (packets([0, 3, 1, 2, 4]), 'avi', 'h264', True, False),
    (packets([0, 3, 1, 2, 4]), MP4, 'mpeg4', True, False),  # may be packed
    (packets([0, 3, 1, None, 4]), MP4, 'h264', True, False),
    (packets([0, 3, 1, 3, 4]), MP4, 'h264', True, False),
    (packets([2, 0, 1, 5, 3]), MP4, 'h264', True, False),  # leading pictures
    (packets([0, 3, 1, 2, 4], keys=(1, )), MP4, 'h264', True, False),
    (packets([0, 3, 1, 2, 4], dts=[0, 1, 2, 0, 1]), MP4, 'h264', True, False),
])
def test_when_packets_tell_all(given, container, codec, delays, expected):
    assert given.tell_all(container, codec, delays) is expected


def test_index_from_packets_by_hand():
    index = index_from_packets(packets([0, 3, 1, 7, 5, 6], keys=(0, 3)))
    assert index.pts.tolist() == [0, 1, 3, 5, 6, 7]
    assert index.key_pts.tolist() == [0, 7] and not index.plain  # 5 before 7
    index = index_from_packets(packets([-2, 1, 0, 2], hidden=(0, )))
    assert index.pts.tolist() == [0, 1, 2] and not index.plain
    assert index_from_packets(packets([0, 2, 1, 3], keys=(0, 3))).plain


@pytest.mark.parametrize('pts, trusted, seekable', [
    ([2, 3, 4], True, True), ([2, 3, 4], False, False),
    ([2, 4, 3], True, False), ([2, None, 4], True, False),
    ([2, 3, 9], True, False)])
def test_index_from_frames_by_hand(pts, trusted, seekable):
    index = index_from_frames(
        packets([0, 1, 2, 3, 4], keys=(0, 2)), TS, pts, {}, 'broken', trusted,
        False)
    assert index.seekable is seekable and index.lost == 2
    assert len(index.pts) == 3 and index.timed is (None not in pts)


def test_of_a_truncated_file_the_whole_beginning_is_taken():
    given = packets([0, 3, 1, 2, 6], dts=[-1, 0, 1, 2, 3])  # 4, 5: missing
    index = index_from_frames(given, 'avi', [0, 1, 2, 3, 6], {}, None, True,
                              True)
    assert index.pts.tolist() == [0, 1, 2]


def test_rates_by_hand():
    assert typical_step([np.array([0, 33, 67, 100, 133, 5000])]) == 33.25
    assert typical_step([np.array([7])]) is None
    assert nominal_rate(0.0334, [None, 29.97, 30]) == 29.97
    assert nominal_rate(1 / 12, [7.1, 24]) == pytest.approx(12)
    assert nominal_rate(None, [None, 24]) == 24
    assert nominal_rate(None, []) is None


@pytest.mark.parametrize('pts, restarts, seconds', [
    ([0, 1, 2, 7, 8], False, [0, 1, 2, 7, 8, 9]),
    ([5, 6, 8, 7, 9], False, [0, 1, 2, 3, 4, 5]),  # stamps of decoding
    ([60, 61, 62, 3, 4, 5, 1, 2], True, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
    ([60, 61, 900, 901], True, [0, 1, 2, 3, 4]),
])
def test_seconds_by_hand(pts, restarts, seconds):
    index = FrameIndex(np.array(pts), np.zeros(0), np.zeros(0),
                       seekable=False, restarts=restarts)
    found = timeline(index, Fraction(1), [])
    assert found.rate == 1
    np.testing.assert_allclose(found.seconds, seconds)


@pytest.mark.parametrize('suffix', ['mkv', 'mov'])
def test_a_gap_is_time(suffix, tmp_path):
    pts = [*range(10), *range(41, 60)]
    path = write_video(tmp_path / f'a.{suffix}', len(pts), pts=pts)
    assert PyAVReader().probe(str(path)).fps == 24
    np.testing.assert_allclose(
        PyAVReader().times(str(path)), np.append(pts, 60) / 24, atol=2e-3)


@pytest.mark.parametrize('offsets', [(0, 0), (90000 * 60, 0),
                                     (0, 90000 * 4000, 90000 * 7)])
def test_joined_recordings_go_on(offsets, clip, tmp_path):
    data = b''
    for i, offset in enumerate(offsets):
        part = write_video(tmp_path / f'{i}.ts', 24)
        shifted = remux(part, tmp_path / f'{i}s.ts', start=-offset)
        data += shifted.read_bytes()
    path = tmp_path / 'joined.ts'
    path.write_bytes(data)
    count = 24 * len(offsets)
    info = PyAVReader().probe(str(path))
    assert (info.num_frames, info.fps) == (count, 24)
    np.testing.assert_allclose(
        PyAVReader().times(str(path)), np.arange(count + 1) / 24, atol=1e-3)
