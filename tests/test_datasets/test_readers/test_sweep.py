# Copyright (c) costa_mm authors. All rights reserved.
"""Random access equals sequential decoding, whatever the container."""
from fractions import Fraction

import av
import numpy as np
import pytest
from test_datasets.conftest import numbered_frame, read_number
from test_datasets.test_readers.conftest import check_exact, sequential

from costa_mm.datasets import DecordReader, PyAVReader, TorchCodecReader
from costa_mm.datasets.readers.borrowed_reader import has_package

NUM = 40
OPEN = {'x264-params': 'open-gop=1:keyint=12:bframes=3:scenecut=0'}
REFRESH = {'x264-params': 'intra-refresh=1:keyint=12:bframes=0'}
FIELDS = {'x264-params': 'keyint=12:bframes=2:tff=1'}
CLOSED = {'x265-params': 'log-level=none:keyint=12:open-gop=0'}
HEVC = {'x265-params': 'log-level=none:keyint=12'}
VP8 = {'g': '12', 'auto-alt-ref': '1', 'lag-in-frames': '16',
       'cpu-used': '8', 'b': '400k'}
VP9 = {'g': '12', 'cpu-used': '8', 'lag-in-frames': '16', 'b': '400k',
       'auto-alt-ref': '1'}
AV1 = {'g': '12', 'preset': '12', 'svtav1-params': 'lp=1'}

CASES = [
    # container, encoder, key frame distance, frames in between, options
    ('mp4', 'libx264', 12, 2, {}),
    ('mp4', 'libx264', 12, 0, {}),
    ('mp4', 'libx264', 300, 3, {}),
    ('mp4', 'libx264', 1, 0, {}),
    ('mp4', 'libx264', 12, 3, OPEN),
    ('mov', 'libx264', 12, 2, {}),
    ('mkv', 'libx264', 12, 3, {}),
    ('mkv', 'libx264', 12, 3, OPEN),
    ('mkv', 'libx264', 12, 0, REFRESH),
    ('mkv', 'libx264', 12, 2, FIELDS),
    ('ts', 'libx264', 12, 2, {}),
    ('ts', 'libx264', 12, 3, OPEN),
    ('ts', 'libx264', 12, 0, REFRESH),
    ('mts', 'libx264', 12, 2, FIELDS),
    ('flv', 'libx264', 12, 2, {}),
    ('avi', 'libx264', 12, 3, {}),
    ('avi', 'libx264', 12, 0, {}),
    ('avi', 'libx264', 12, 3, OPEN),
    ('asf', 'libx264', 12, 2, {}),
    ('nut', 'libx264', 12, 2, {}),
    ('mp4', 'libx265', 12, 3, HEVC),
    ('mkv', 'libx265', 12, 3, CLOSED),
    ('ts', 'libx265', 12, 3, HEVC),
    ('mp4', 'mpeg4', 12, 2, {}),
    ('avi', 'mpeg4', 12, 2, {}),
    ('avi', 'mpeg4', 12, 0, {}),
    ('mkv', 'mpeg4', 12, 2, {}),
    ('m4v', 'mpeg4', 12, 2, {}),
    ('mpg', 'mpeg1video', 12, 2, {}),
    ('mpg', 'mpeg2video', 12, 2, {}),
    ('vob', 'mpeg2video', 1, 0, {}),
    ('ts', 'mpeg2video', 12, 2, {}),
    ('mkv', 'mpeg2video', 12, 2, {}),
    ('webm', 'libvpx', 12, 0, VP8),
    ('webm', 'libvpx-vp9', 12, 0, VP9),
    ('mp4', 'libvpx-vp9', 300, 0, VP9),
    ('mp4', 'libsvtav1', 12, 0, AV1),
    ('mkv', 'libsvtav1', 12, 0, AV1),
    ('wmv', 'wmv2', 12, 0, {}),
    ('wmv', 'wmv1', 300, 0, {}),
    ('avi', 'msmpeg4', 12, 0, {}),
    ('flv', 'flv', 12, 0, {}),
    ('avi', 'mjpeg', 1, 0, {}),
    ('mov', 'prores_ks', 1, 0, {}),
    ('mkv', 'ffv1', 12, 0, {}),
    ('avi', 'rawvideo', 1, 0, {}),
    ('gif', 'gif', 12, 0, {}),
]
PIXELS = dict(mjpeg='yuvj420p', prores_ks='yuv422p10le', gif='rgb8')


def write(path, codec, gop, between, options):
    try:
        av.codec.Codec(codec, 'w')
    except av.codec.codec.UnknownCodecError:
        pytest.skip(f'this FFmpeg has no encoder {codec}')
    options = dict({'g': str(gop), 'bf': str(between)}, **options)
    if codec in ('libx264', 'libx265'):
        options.setdefault('preset', 'ultrafast')
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width = 64, 96
        stream.pix_fmt = PIXELS.get(codec, 'yuv420p')
        for i in range(NUM):
            frame = av.VideoFrame.from_ndarray(
                numbered_frame(i), format='rgb24')
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize('kind', [DecordReader, TorchCodecReader])
def test_a_plain_file_is_read_by_the_decoder_itself(kind, tmp_path,
                                                    monkeypatch):
    if not has_package(kind.module):
        pytest.skip(f'{kind.package} cannot be used here')
    path = tmp_path / 'a.mp4'
    write(path, 'libx264', 12, 2, {})
    frames = sequential(path)
    reader = kind()
    monkeypatch.setattr(PyAVReader, '_read', None)
    assert reader._is_exact(str(path))
    check_exact(reader, path, frames)
    monkeypatch.undo()
    write(tmp_path / 'a.avi', 'libx264', 12, 3, OPEN)
    assert not reader._is_exact(str(tmp_path / 'a.avi'))


@pytest.mark.parametrize('suffix, codec, gop, between, options', CASES)
def test_every_container_is_frame_exact(suffix, codec, gop, between, options,
                                        tmp_path):
    path = tmp_path / f'a.{suffix}'
    write(path, codec, gop, between, options)
    frames = sequential(path)
    assert [read_number(f) for f in frames] == list(range(NUM))
    for seed, reader in enumerate(
            (PyAVReader(), DecordReader(), TorchCodecReader())):
        check_exact(reader, path, frames, seed)
        info = reader.probe(str(path))
        assert info.num_frames == NUM
        assert info.fps == pytest.approx(25, rel=1e-3)
    seconds = PyAVReader().times(str(path))
    # the VOB's own time stamps are wrong by a frame here and there
    tolerance = 0.041 if suffix == 'vob' else 2e-3
    np.testing.assert_allclose(
        seconds, np.arange(NUM + 1) / 25, atol=tolerance)
