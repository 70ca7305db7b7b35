# Copyright (c) costa_mm authors. All rights reserved.
import threading

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from costa_mm.visualization import write_video


def boxes_of(path):
    """Names of the top-level boxes of an MP4 file, in order."""
    data, at, names = path.read_bytes(), 0, []
    while at < len(data):
        names.append(data[at + 4:at + 8].decode())
        at += int.from_bytes(data[at:at + 4], 'big')
    return names


def test_file_is_what_browsers_play(tmp_path, frames):
    path = tmp_path / 'new' / 'a.mp4'
    assert write_video(path, iter(frames), 29.97) == 20
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == 'h264'
        assert stream.codec_context.pix_fmt == 'yuv420p'
        assert (stream.height, stream.width) == (60, 90)  # 91 is odd
        assert float(stream.average_rate) == pytest.approx(29.97, abs=1e-3)
        decoded = [f.to_ndarray(format='rgb24') for f in
                   container.decode(video=0)]
    assert len(decoded) == 20
    for i, frame in enumerate(decoded):
        assert abs(frame.mean() - 5 * i) < 3
    names = boxes_of(path)
    assert names.index('moov') < names.index('mdat')
    assert list(path.parent.iterdir()) == [path]


def test_colours_are_not_swapped(tmp_path):
    red = np.zeros((3, 64, 64, 3), np.uint8)
    red[..., 0] = 200
    write_video(tmp_path / 'a.mp4', red, 10)
    with av.open(str(tmp_path / 'a.mp4')) as container:
        frame = next(container.decode(video=0)).to_ndarray(format='rgb24')
    assert frame[..., 0].mean() > 180 and frame[..., 1:].mean() < 20


def test_file_names_its_colours(tmp_path, frames):
    write_video(tmp_path / 'a.mp4', frames, 10)
    with av.open(str(tmp_path / 'a.mp4')) as container:
        context = container.streams.video[0].codec_context
        assert context.colorspace == Colorspace.ITU601
        assert context.color_range == ColorRange.MPEG


@pytest.mark.parametrize('make, fps, message', [
    (lambda: [], 10, 'no frames'),
    (lambda: np.zeros((2, 8, 8, 3), np.uint8), 0, 'frames per second'),
    (lambda: [np.zeros((8, 8, 3), np.uint8),
              np.zeros((8, 9, 3), np.uint8)], 10, 'those before it'),
    (lambda: np.zeros((2, 8, 8), np.uint8), 10, r'\(H, W, 3\)'),
])
def test_bad_frames_leave_no_file(tmp_path, make, fps, message):
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / 'a.mp4', make(), fps)
    assert not list(tmp_path.iterdir())


def test_an_error_among_the_frames_leaves_no_file(tmp_path, frames):
    def broken():
        yield frames[0]
        raise RuntimeError('decoder died')

    with pytest.raises(RuntimeError, match='decoder died'):
        write_video(tmp_path / 'a.mp4', broken(), 10)
    assert not list(tmp_path.iterdir())


def test_other_suffixes_are_refused(tmp_path, frames):
    with pytest.raises(ValueError, match='must end in .mp4'):
        write_video(tmp_path / 'a.avi', frames, 10)


def moving_texture(count=24, side=160):
    """A still ground with noise, a textured disc that moves over it."""
    rng = np.random.default_rng(0)
    ground = np.kron(rng.integers(40, 216, (20, 20, 3)), np.ones((8, 8, 1)))
    ground += rng.normal(0, 4, ground.shape)
    y, x = np.mgrid[:side, :side]
    for i in range(count):
        disc = (x - 20 - 5 * i)**2 + (y - 80)**2 < 900
        frame = ground.copy()
        frame[disc] = 255 - np.roll(ground, 5 * i, 1)[disc]
        yield np.clip(frame, 0, 255).astype(np.uint8)


def test_the_fast_setting_looks_as_good_as_the_slower_one(tmp_path):
    frames = list(moving_texture())
    error, size = {}, {}
    for preset in (None, 'superfast'):
        path = tmp_path / f'{preset}.mp4'
        write_video(path, frames, 10, preset=preset)
        with av.open(str(path)) as container:
            error[preset] = np.mean([
                np.square(f.to_ndarray(format='rgb24').astype(float) - g)
                for f, g in zip(container.decode(video=0), frames)
            ])
        size[preset] = path.stat().st_size
    # a quarter of a decibel, and a quarter of the size
    assert error[None] < 1.06 * error['superfast']
    assert size[None] < 1.25 * size['superfast']


def test_frames_are_made_by_another_thread_and_told_by_the_callers(
        tmp_path, frames):
    told, makers = [], set()

    def drawn():
        canvas = np.empty_like(frames[0])  # one array, drawn over
        for frame in frames:
            makers.add(threading.get_ident())
            np.copyto(canvas, frame)
            yield canvas

    write_video(tmp_path / 'a.mp4', drawn(), 10,
                progress=lambda n: told.append((n, threading.get_ident())))
    assert told == [(i, threading.get_ident()) for i in range(20)]
    assert len(makers) == 1 and threading.get_ident() not in makers
    write_video(tmp_path / 'b.mp4', frames, 10)
    first, second = tmp_path / 'a.mp4', tmp_path / 'b.mp4'
    assert first.read_bytes() == second.read_bytes()
