# Copyright (c) costa_mm authors. All rights reserved.
import os
import shutil

import av
import numpy as np
import pytest
from test_datasets.conftest import (break_last_packet, ffmpeg, read_number,
                                    write_video)

from costa_mm.datasets import DecordReader, PyAVReader, VideoReadError
from costa_mm.datasets.readers import PyAVVideo

READERS = [DecordReader(), PyAVReader()]
BOTH = pytest.mark.parametrize('reader', READERS, ids=['decord', 'pyav'])


def sequential(path):
    """All frames of a plain decode from the first to the last."""
    with av.open(str(path)) as container:
        return [
            np.rot90(f.to_ndarray(format='rgb24'), round(f.rotation / 90) % 4)
            for f in container.decode(video=0)
        ]


def check_exact(reader, path, frames, seed=0):
    n = len(frames)
    rng = np.random.default_rng(seed)
    for ids in (np.linspace(0, n - 1, 7).astype(int), rng.permutation(n)[:9],
                [n - 1], [0, 0, n // 2], np.sort(rng.permutation(n)[:5])):
        out = reader.read(str(path), ids)
        assert out.dtype == np.uint8 and len(out) == len(ids)
        for image, i in zip(out, ids):
            np.testing.assert_array_equal(image, frames[i])


@BOTH
def test_real_clips_are_frame_exact(reader, test_data):
    paths = sorted((test_data / 'real_clips').glob('*.mp4'))
    assert len(paths) == 8
    for path in paths:
        frames = sequential(path)
        check_exact(reader, path, frames)
        info = reader.probe(str(path))
        assert info.num_frames == len(frames)
        assert (info.height, info.width) == frames[0].shape[:2]


@pytest.mark.parametrize('name, codec, options', [
    ('plain.mp4', 'libx264', dict(g='12', bf='2')),
    ('matroska.mkv', 'libx264', dict(g='12', bf='3')),
    ('open.mkv', 'libx264',
     {'x264-params': 'open-gop=1:keyint=12:bframes=3:scenecut=0'}),
    ('packed.avi', 'mpeg4', dict(g='12', bf='2')),
    ('vp9.webm', 'libvpx-vp9', dict(g='12', cpu_used='8')),
    ('one_key.mp4', 'libx264', dict(g='300', bf='0')),
])
@BOTH
def test_every_container_is_frame_exact(reader, name, codec, options,
                                        tmp_path):
    path = write_video(tmp_path / name, codec=codec, options=options)
    frames = sequential(path)
    assert [read_number(f) for f in frames] == list(range(48))
    check_exact(reader, path, frames)


def test_what_decord_alone_gets_wrong(tmp_path):
    """The reason for the look at the packets; if this fails, drop it."""
    path = write_video(
        tmp_path / 'open.mkv',
        options={'x264-params': 'open-gop=1:keyint=12:bframes=3:scenecut=0'})
    with PyAVVideo(str(path)) as video:
        assert not video.index().plain
    ids = np.arange(0, 48, 5)
    out = DecordReader(exact=False).read(str(path), ids)
    assert [read_number(f) for f in out] != ids.tolist()


@pytest.mark.parametrize('ids, decoded', [
    ([40], range(36, 41)),  # the key frame before it is number 36
    ([3, 25], [*range(4), 24, 25]),
    ([47, 0], [0, *range(36, 48)]),
])
def test_only_the_needed_groups_of_pictures_are_decoded(
        ids, decoded, clip, monkeypatch):
    numbers, original = [], PyAVVideo._decode

    def noted(video, wanted=None):
        for frame in original(video, wanted):
            numbers.append(read_number(frame.to_ndarray(format='rgb24')))
            yield frame

    monkeypatch.setattr(PyAVVideo, '_decode', noted)
    out = PyAVReader().read(str(clip), ids)
    assert [read_number(image) for image in out] == ids
    assert set(ids) <= set(numbers) <= set(decoded)


@BOTH
def test_edit_list_hides_the_cut_frames(reader, clip, tmp_path):
    path = tmp_path / 'cut.mp4'
    ffmpeg('-ss', 18 / 24, '-i', clip, '-c', 'copy', path)
    frames = sequential(path)
    assert read_number(frames[0]) == 18  # the key frame is number 12
    check_exact(reader, path, frames)
    assert reader.probe(str(path)).num_frames == len(frames) == 30
    with pytest.raises(IndexError, match='30 frames'):
        reader.read(str(path), [30])


@BOTH
@pytest.mark.parametrize('degrees', [90, 180, 270])
def test_rotation_flag_turns_frames_upright(reader, degrees, clip, tmp_path):
    path = tmp_path / 'turned.mp4'
    ffmpeg('-display_rotation', degrees, '-i', clip, '-c', 'copy', path)
    out = reader.read(str(path), [0, 30])
    info = reader.probe(str(path))
    assert out.shape[1:3] == ((64, 96) if degrees == 180 else (96, 64))
    assert (info.height, info.width) == out.shape[1:3]
    back = np.rot90(out, -degrees // 90, axes=(1, 2))
    assert [read_number(f) for f in back] == [0, 30]


@BOTH
def test_variable_frame_rate_counts_pictures(reader, tmp_path):
    pts = np.cumsum([0] + [1, 5, 2] * 15 + [40, 1])
    path = write_video(tmp_path / 'vfr.mp4', 48, pts=pts.tolist())
    out = reader.read(str(path), [0, 7, 46, 47])
    assert [read_number(f) for f in out] == [0, 7, 46, 47]
    info = reader.probe(str(path))
    assert info.num_frames == 48
    assert info.fps == pytest.approx(48 / (pts[-1] + 1) * 24, rel=0.05)


@BOTH
def test_truncated_clip_raises_with_its_path(reader, test_data):
    path = str(test_data / 'odd' / 'decord_corrupted.mp4')
    with pytest.raises(VideoReadError, match='decord_corrupted.mp4'):
        reader.read(path, [0, 25, 49])
    assert issubclass(VideoReadError, ValueError)


@BOTH
def test_errors_name_the_file(reader, clip, tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere.mp4'):
        reader.read('nowhere.mp4', [0])
    text = tmp_path / 'text.mp4'
    text.write_text('no video')
    for call in (lambda: reader.read(str(text), [0]),
                 lambda: reader.probe(str(text))):
        with pytest.raises(VideoReadError, match='text.mp4'):
            call()
    with pytest.raises(IndexError, match='48 frames'):
        reader.read(str(clip), [0, 48])
    with pytest.raises(IndexError):
        reader.read(str(clip), [-1])
    with pytest.raises(ValueError, match='no frames'):
        reader.read(str(clip), [])


@BOTH
def test_strange_file_names(reader, clip, tmp_path):
    for name in ('a b.mp4', 'a:b.mp4', 'ü%03d.mp4', "it's#.mp4"):
        path = tmp_path / name
        shutil.copy(clip, path)
        assert read_number(reader.read(str(path), [5])[0]) == 5


@BOTH
def test_no_file_handle_stays_open(reader, clip):
    reader.read(str(clip), [0])
    before = len(os.listdir('/proc/self/fd'))
    for _ in range(20):
        reader.read(str(clip), [0, 40])
        reader.probe(str(clip))
    assert len(os.listdir('/proc/self/fd')) <= before


@pytest.mark.skipif(
    not os.path.isdir('/proc/self/task'), reason='/proc tells the threads')
def test_one_thread_reads(clip):
    """PyAV >= 17 has a thread per CPU convert colours unless told."""

    def added_while_open(num_threads):
        before = len(os.listdir('/proc/self/task'))
        with PyAVVideo(str(clip), num_threads) as video:
            video.frames(np.array([0, 5]))
            return len(os.listdir('/proc/self/task')) - before

    assert added_while_open(1) == 0
    assert added_while_open(3) >= 2


def test_broken_last_packet_leaves_the_others_readable(clip, tmp_path):
    path = break_last_packet(clip, tmp_path / 'tail.mkv')
    for reader in READERS:
        assert read_number(reader.read(str(path), [44])[0]) == 44
        with pytest.raises(VideoReadError):
            reader.read(str(path), [47])
        with pytest.raises(VideoReadError):  # it refers to the last one
            reader.read(str(path), [46])


def test_without_decord_pyav_reads(clip, monkeypatch):
    import sys

    from costa_mm.datasets.readers.decord_reader import has_decord
    monkeypatch.setitem(sys.modules, 'decord', None)
    has_decord.cache_clear()
    try:
        out = DecordReader().read(str(clip), [7])
        assert read_number(out[0]) == 7
        with pytest.raises(ImportError, match='PyAVReader'):
            DecordReader(exact=False).read(str(clip), [7])
    finally:
        has_decord.cache_clear()
