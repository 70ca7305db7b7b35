# Copyright (c) costa_mm authors. All rights reserved.
"""Frame k is one picture, in files that do not begin at a key frame."""
import numpy as np
import pytest
from test_datasets.conftest import read_number, write_video
from test_datasets.test_readers.conftest import check_exact, remux, sequential

from costa_mm.apis.inputs import make_sources
from costa_mm.datasets import (DecordReader, LoadVideoFrames, PyAVReader,
                               TorchCodecReader)

READERS = [PyAVReader(), DecordReader(), TorchCodecReader()]
HEVC = {'x265-params': 'log-level=none:keyint=12:bframes=3',
        'preset': 'ultrafast'}
OPEN = {'x264-params': 'open-gop=1:keyint=12:bframes=3:scenecut=0'}
MPEG2 = dict(g='12', bf='2')


def check(path):
    """All ways of reading agree with a plain decode."""
    frames = sequential(path)
    numbers = [read_number(f) for f in frames]
    assert numbers == list(range(numbers[0], numbers[0] + len(frames)))
    for reader in READERS:
        assert reader.probe(str(path)).num_frames == len(frames)
        check_exact(reader, path, frames)
        with pytest.raises(IndexError, match=f'{len(frames)} frames'):
            reader.read(str(path), [len(frames)])
    source, = make_sources(str(path), 'a ball', PyAVReader())
    assert source.info.num_frames == len(frames)
    loaded = LoadVideoFrames()(
        dict(video_path=str(path), frame_ids=np.array([3, 11])))
    assert [read_number(i) for i in loaded['imgs']] == [
        numbers[3], numbers[11]]
    return numbers


@pytest.mark.parametrize('codec, options', [
    ('libx264', OPEN), ('libx265', HEVC), ('mpeg2video', MPEG2)])
def test_recording_that_begins_between_key_frames(codec, options, tmp_path):
    whole = write_video(tmp_path / 'whole.ts', codec=codec, options=options)
    data = whole.read_bytes()
    cut = tmp_path / 'cut.ts'
    cut.write_bytes(data[188 * (len(data) // 188 // 3):])
    assert 12 <= check(cut)[0] <= 24


@pytest.mark.parametrize('suffix', ['mkv', 'ts', 'mp4'])
@pytest.mark.parametrize('codec, options', [
    ('libx264', OPEN), ('libx265', HEVC)])
def test_cut_at_a_key_frame_with_leading_pictures(suffix, codec, options,
                                                  tmp_path):
    """They refer to pictures before the cut and are not shown."""
    whole = write_video(
        tmp_path / ('whole.ts' if suffix == 'ts' else 'whole.mkv'),
        codec=codec, options=options)
    check(remux(whole, tmp_path / f'cut.{suffix}', first_key=2))


def test_cut_behind_a_key_frame(tmp_path):
    """A cutter that copies from any packet."""
    whole = write_video(tmp_path / 'whole.mkv')
    cut = remux(whole, tmp_path / 'cut.mkv', first_key=1, key=False)
    assert check(cut)[0] >= 24


def test_packets_without_any_time(tmp_path):
    """A raw stream: frames can only be counted."""
    path = write_video(tmp_path / 'a.h264')
    assert check(path) == list(range(48))
    np.testing.assert_allclose(
        np.diff(PyAVReader().times(str(path))), 1 / 24, rtol=0.05)


def test_packets_whose_times_are_those_of_decoding(tmp_path):
    """H.264 with frames in between, out of an AVI file, in Matroska."""
    avi = write_video(tmp_path / 'a.avi')
    assert check(avi) == list(range(48))
    assert check(remux(avi, tmp_path / 'a.mkv')) == list(range(48))


def test_key_frames_that_need_others(tmp_path):
    """Every packet is said to be a key frame."""
    whole = write_video(tmp_path / 'a.mp4', options=dict(g='300', bf='0'))
    data = whole.read_bytes()
    at = data.index(b'stss')  # without this table all samples are key frames
    path = tmp_path / 'b.mp4'
    path.write_bytes(data[:at] + b'skip' + data[at + 4:])
    assert check(path) == list(range(48))
