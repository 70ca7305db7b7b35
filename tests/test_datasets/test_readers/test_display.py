# Copyright (c) costa_mm authors. All rights reserved.
from fractions import Fraction

import av
import numpy as np
import pytest
from test_datasets.conftest import numbered_frame, read_number
from test_datasets.test_readers.conftest import sequential, turn

from costa_mm.datasets import (DecordReader, LoadTubeAnnotations,
                               LoadVideoFrames, PyAVReader, TorchCodecReader,
                               VideoReadError)
from costa_mm.datasets.readers.display import square_shape, upright
from costa_mm.structures import Tube

READERS = [PyAVReader(), DecordReader(), TorchCodecReader()]
BOTH = pytest.mark.parametrize(
    'reader', READERS, ids=['pyav', 'decord', 'torchcodec'])


@pytest.mark.parametrize('matrix, rows', [
    ((1, 0, 0, 1), ['ab', 'cd', 'ef']),
    ((-1, 0, 0, 1), ['ba', 'dc', 'fe']),
    ((1, 0, 0, -1), ['ef', 'cd', 'ab']),
    ((-1, 0, 0, -1), ['fe', 'dc', 'ba']),
    ((0, 1, 1, 0), ['ace', 'bdf']),
    ((0, -1, -1, 0), ['fdb', 'eca']),
    ((0, 1, -1, 0), ['eca', 'fdb']),  # clockwise
    ((0, -1, 1, 0), ['bdf', 'ace']),
    ((0, 0, 0, 0), ['ab', 'cd', 'ef']),
    ((.8, .6, -.6, .8), ['ab', 'cd', 'ef']),  # 37 degrees: no player does
])
def test_all_orientations_by_hand(matrix, rows):
    image = np.array([[ord(c) for c in row] for row in ('ab', 'cd', 'ef')])
    image = np.repeat(image[..., None], 3, axis=2)
    out = upright(image, np.array(matrix, float).reshape(2, 2))
    assert [''.join(map(chr, row)) for row in out[..., 0]] == rows


@BOTH
@pytest.mark.parametrize('matrix', [
    (-1, 0, 0, 1), (1, 0, 0, -1), (-1, 0, 0, -1), (0, 1, 1, 0),
    (0, -1, -1, 0), (0, 1, -1, 0), (0, -1, 1, 0)])
def test_files_are_read_as_players_show_them(reader, matrix, clip, tmp_path):
    path = turn(clip, tmp_path / 'turned.mp4', matrix)
    stored = sequential(clip)
    out = reader.read(str(path), [0, 30])
    info = reader.probe(str(path))
    assert out.shape[1:3] == (info.height, info.width)
    for image, number in zip(out, (0, 30)):
        shown = upright(stored[number], np.reshape(matrix, (2, 2)))
        np.testing.assert_array_equal(image, shown)


def wide_pixels(path, aspect, **kwargs):
    """48 frames whose pixels are not square."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(kwargs.pop('codec', 'libx264'), rate=24)
        stream.height, stream.width = 64, 96
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.sample_aspect_ratio = Fraction(*aspect)
        for i in range(12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(
                numbered_frame(i), format='rgb24')))
        container.mux(stream.encode(None))
    return path


@BOTH
@pytest.mark.parametrize('name, codec, aspect, shape', [
    ('a.mp4', 'libx264', (4, 3), (64, 128)),
    ('a.mkv', 'libx264', (2, 3), (96, 96)),
    ('a.mpg', 'mpeg2video', (32, 27), (64, 114)),
    ('a.avi', 'mpeg4', (12, 11), (64, 105)),
    ('a.mp4', 'libx264', (1000, 1001), (64, 96)),
    ('a.mp4', 'libx264', (99, 1), (64, 96)),  # nobody meant that
])
def test_pixels_are_square(reader, name, codec, aspect, shape, tmp_path):
    path = wide_pixels(tmp_path / name, aspect, codec=codec)
    info = reader.probe(str(path))
    assert (info.height, info.width) == shape
    out = reader.read(str(path), [5, 11])
    assert out.shape == (2, *shape, 3)
    back = out[:, np.arange(64) * shape[0] // 64]
    back = back[:, :, np.arange(96) * shape[1] // 96]
    assert [read_number(i) for i in back] == [5, 11]
    assert square_shape(64, 96, reader.pixel_aspect(str(path))) == shape


def test_boxes_annotated_in_stored_pixels_stay_where_they_are(tmp_path):
    path = wide_pixels(tmp_path / 'a.mp4', (4, 3))
    results = dict(
        video_path=str(path), frame_ids=np.array([2]), height=64, width=96,
        gt_tube=Tube((2, 3), [2], [[24, 16, 48, 32]]))
    results = LoadTubeAnnotations()(LoadVideoFrames()(results))
    assert results['ori_shape'] == (64, 96)
    assert results['img_shape'] == (64, 128)
    np.testing.assert_allclose(results['gt_boxes'], [[32, 16, 64, 32]])
    results = LoadVideoFrames()(dict(results, height=64, width=128))
    assert results['ori_shape'] == (64, 128)
    with pytest.raises(VideoReadError, match='128 x 64.*96 x 60'):
        LoadVideoFrames()(dict(results, height=60, width=96))


def with_cover(path, cover_first, movie=True):
    """A file with a cover picture, perhaps of a larger size."""
    with av.open(str(path), 'w') as container:
        names = ['cover', 'movie'] if cover_first else ['movie', 'cover']
        streams = {}
        for name in names:
            if name == 'cover':
                stream = container.add_stream('mjpeg', rate=24)
                stream.height, stream.width = 480, 640
                stream.pix_fmt = 'yuvj420p'
                stream.disposition = av.stream.Disposition.attached_pic
                streams[name] = stream
            elif movie:
                stream = container.add_stream('libx264', rate=24)
                stream.height, stream.width = 64, 96
                stream.pix_fmt = 'yuv420p'
                streams[name] = stream
        picture = np.full((480, 640, 3), 77, np.uint8)
        packets = streams['cover'].encode(
            av.VideoFrame.from_ndarray(picture, format='rgb24'))
        for i in range(6 if movie else 0):
            packets += streams['movie'].encode(
                av.VideoFrame.from_ndarray(numbered_frame(i), format='rgb24'))
        for stream in streams.values():
            packets += stream.encode(None)
        container.mux(packets)
    return path


@BOTH
@pytest.mark.parametrize('suffix', ['mp4', 'mov'])
@pytest.mark.parametrize('cover_first', [True, False])
def test_covers_are_not_read(reader, suffix, cover_first, tmp_path):
    path = str(with_cover(tmp_path / f'a.{suffix}', cover_first))
    assert reader.probe(path)[2:] == (96, 64)
    assert reader.probe(path).num_frames == 6
    assert [read_number(i) for i in reader.read(path, [0, 4])] == [0, 4]


@BOTH
def test_a_cover_alone_is_no_video(reader, tmp_path):
    path = str(with_cover(tmp_path / 'song.mp4', True, movie=False))
    with pytest.raises(VideoReadError, match='song.mp4.*only a cover'):
        reader.probe(path)


@BOTH
def test_of_two_streams_the_default_one_is_read(reader, tmp_path):
    path = tmp_path / 'two.mkv'
    with av.open(str(path), 'w') as container:
        streams = [container.add_stream('libx264', rate=24) for _ in range(2)]
        for stream, default in zip(streams, (False, True)):
            stream.height, stream.width = 64, 96
            stream.pix_fmt = 'yuv420p'
            flag = av.stream.Disposition.default
            stream.disposition = flag if default else type(flag)(0)
        for i in range(6):
            for j, stream in enumerate(streams):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(
                    numbered_frame(i + 100 * j), format='rgb24')))
        for stream in streams:
            container.mux(stream.encode(None))
    assert read_number(reader.read(str(path), [3])[0]) == 103


def test_written_videos_have_the_shape_that_is_shown(tmp_path):
    from costa_mm.apis.inputs import make_sources
    from costa_mm.apis.outputs import write_tube_video
    path = wide_pixels(tmp_path / 'a.mp4', (2, 1))
    write_tube_video(
        str(tmp_path / 'out.mp4'),
        make_sources(str(path), 'x', PyAVReader())[0], [])
    with av.open(str(tmp_path / 'out.mp4')) as container:
        stream = container.streams.video[0]
        assert stream.width / stream.height > 2.4  # with a caption below
        assert stream.sample_aspect_ratio in (None, 0, 1)
