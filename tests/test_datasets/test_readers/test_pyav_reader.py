# Copyright (c) costa_mm authors. All rights reserved.
import gc
import os
import shutil

import numpy as np
import pytest
from test_datasets.conftest import break_last_packet, read_number, write_video
from test_datasets.test_readers.conftest import check_exact, remux, sequential

from costa_mm.datasets import (DecordReader, PyAVReader, TorchCodecReader,
                               VideoReadError)
from costa_mm.datasets.readers import BaseVideoReader, PyAVVideo, pyav_video

READERS = [DecordReader(), PyAVReader(), TorchCodecReader()]
BOTH = pytest.mark.parametrize(
    'reader', READERS, ids=['decord', 'pyav', 'torchcodec'])


def test_real_clips_are_frame_exact(test_data):
    paths = sorted((test_data / 'real_clips').glob('*.mp4'))
    assert len(paths) == 8
    for i, path in enumerate(paths):
        frames = sequential(path)
        for reader in READERS[i % 2:]:
            check_exact(reader, path, frames, alone=0)
            info = reader.probe(str(path))
            assert info.num_frames == len(frames)
            assert (info.height, info.width) == frames[0].shape[:2]


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


@pytest.fixture
def decoded(monkeypatch):
    """Numbers of the frames that PyAV decodes."""
    numbers, original = [], PyAVVideo._decode

    def noted(video, *args):
        for frame in original(video, *args):
            numbers.append(read_number(frame.to_ndarray(format='rgb24')))
            yield frame

    monkeypatch.setattr(PyAVVideo, '_decode', noted)
    return numbers


@pytest.mark.parametrize('ids, needed', [
    ([40], range(36, 41)),  # the key frame before it is number 36
    ([3, 25], [*range(4), 24, 25]),
    ([47, 0], [0, *range(36, 48)]),
])
def test_only_the_needed_groups_of_pictures_are_decoded(
        ids, needed, clip, decoded):
    out = PyAVReader().read(str(clip), ids)
    assert [read_number(image) for image in out] == ids
    assert set(ids) <= set(decoded) <= set(needed)


def test_a_stream_begins_at_the_key_frame_before_it(clip, decoded):
    out = PyAVReader().stream(str(clip), 27)
    assert [read_number(next(out)) for _ in range(3)] == [27, 28, 29]
    assert decoded == list(range(24, 30))
    assert [read_number(image) for image in out] == list(range(30, 48))
    assert decoded == list(range(24, 48))


@pytest.mark.parametrize('at', [27, 33, 36, 47])
def test_a_stream_goes_on_where_the_packets_turn_out_wrong(
        at, clip, decoded, tmp_path, monkeypatch):
    """Nothing is given twice or left out, and nothing else comes."""
    path, index = shutil.copy(clip, tmp_path), PyAVVideo.index

    def wrong(video):
        right = index(video)
        pts = right.pts.copy()
        pts[at] += 1
        return right._replace(pts=pts)

    monkeypatch.setattr(PyAVVideo, 'index', wrong)
    out = PyAVReader().stream(path, 27)
    assert [read_number(image) for image in out] == list(range(27, 48))
    # from the start for the new index, and once more to count
    assert decoded[0] == 24 and decoded.count(0) == 2


class Plain(BaseVideoReader):
    """What a reader of one's own has to write."""

    def _probe(self, path):
        return PyAVReader().probe(path)

    def _read(self, path, ids):
        return PyAVReader().read(path, ids)


@pytest.mark.parametrize('reader', [*READERS, Plain()])
def test_where_a_stream_cannot_begin(reader, clip):
    assert len(list(reader.stream(str(clip), 20))) == 28
    with pytest.raises(IndexError, match='frame -1 of .*: frames count'):
        next(reader.stream(str(clip), -1))
    with pytest.raises(IndexError, match='frame 48 of .*has 48 frames'):
        next(reader.stream(str(clip), 48))
    with pytest.raises(FileNotFoundError, match='nowhere.mp4'):
        next(reader.stream('nowhere.mp4', 3))


@BOTH
def test_edit_list_hides_the_cut_frames(reader, clip, tmp_path):
    # the key frame is number 12; one unit is 1 / 12288 s
    path = remux(clip, tmp_path / 'cut.mp4', first_key=1, start=18 * 512)
    frames = sequential(path)
    assert read_number(frames[0]) == 18
    check_exact(reader, path, frames)
    assert reader.probe(str(path)).num_frames == len(frames) == 30
    with pytest.raises(IndexError, match='30 frames'):
        reader.read(str(path), [30])


@BOTH
def test_variable_frame_rate_counts_pictures(reader, tmp_path):
    pts = np.cumsum([0] + [1, 5, 2] * 15 + [40, 1])
    path = write_video(tmp_path / 'vfr.mp4', 48, pts=pts.tolist())
    out = reader.read(str(path), [0, 7, 46, 47])
    assert [read_number(f) for f in out] == [0, 7, 46, 47]
    info = reader.probe(str(path))
    assert info.num_frames == 48
    assert info.fps == pytest.approx(12)  # most steps take 2 of 24
    np.testing.assert_allclose(
        reader.times(str(path)), np.append(pts, pts[-1] + 2) / 24, atol=1e-6)


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
def test_huge_pictures_are_refused_unseen(reader, clip, monkeypatch):
    monkeypatch.setattr(pyav_video, 'MAX_PIXELS', 96 * 64 - 1)
    with pytest.raises(VideoReadError, match='picture of 96 x 64'):
        reader.probe(str(clip))


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

    from costa_mm.datasets.readers.borrowed_reader import has_package
    monkeypatch.setitem(sys.modules, 'decord', None)
    has_package.cache_clear()
    try:
        out = DecordReader().read(str(clip), [7])
        assert read_number(out[0]) == 7
        with pytest.raises(ImportError, match='PyAVReader'):
            DecordReader(exact=False).read(str(clip), [7])
    finally:
        has_package.cache_clear()


@pytest.mark.parametrize('name, codec, options', [
    ('a.mp4', 'libx264', dict(g='12', bf='2')),
    ('a.mkv', 'libx264', {'x264-params': 'open-gop=1:keyint=12:bframes=3'}),
    ('a.avi', 'mpeg4', dict(g='9')),
])
def test_a_stream_is_every_frame_in_order(name, codec, options, tmp_path):
    path = str(write_video(tmp_path / name, codec=codec, options=options))
    for reader in READERS:
        count = reader.probe(path).num_frames
        frames = list(reader.stream(path))
        assert len(frames) == count
        assert (np.stack(frames) == reader.read(path, range(count))).all()
    with pytest.raises(FileNotFoundError, match='b.mp4'):
        next(reader.stream('b.mp4'))


def test_read_frames_are_freed_without_the_garbage_collector(tmp_path):
    path = write_video(tmp_path / 'a.mp4', size=(320, 480))
    gc.collect()
    gc.disable()
    try:
        for _ in PyAVReader().stream(str(path)):
            pass
        cycles = sum(
            type(o).__name__ == 'SideDataContainer' for o in gc.get_objects())
    finally:
        gc.enable()
    assert cycles <= 1
