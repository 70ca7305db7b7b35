# Copyright (c) costa_mm authors. All rights reserved.
import av
import numpy as np
import pytest
from test_datasets import conftest
from test_datasets.conftest import numbered_frame, read_number, write_video

from costa_mm.apis.inputs import make_sources
from costa_mm.datasets import (DecordReader, LoadVideoFrames, PyAVReader,
                               VideoReadError)
from costa_mm.datasets.readers.promise import missing_bytes

FASTSTART = {'movflags': '+faststart'}
FRAGMENTS = {'movflags': 'frag_keyframe+empty_moov'}


@pytest.fixture(autouse=True)
def noise(monkeypatch):
    """Pictures, not headers, are what the files consist of."""
    rng = np.random.default_rng(0)

    def noisy(number, *size):
        image = numbered_frame(number, *size)
        image[48:] = rng.integers(0, 256, image[48:].shape)
        return image

    monkeypatch.setattr(conftest, 'numbered_frame', noisy)


def write(path, codec='libx264', options=None):
    """48 frames; for containers with an index, in front of the pictures."""
    plain = write_video(
        path.with_name('plain.nut'), codec=codec, options=dict(
            {} if codec == 'wmv2' else dict(bf='2'), g='12'))
    with av.open(str(plain)) as old, av.open(
            str(path), 'w', options=options or {}) as new:
        stream = old.streams.video[0]
        out = new.add_stream_from_template(stream)
        for packet in old.demux(stream):
            if packet.size:
                packet.stream = out
                new.mux(packet)
    return path


@pytest.mark.parametrize('name, codec, options', [
    ('a.mp4', 'libx264', FASTSTART), ('a.mov', 'mpeg4', FASTSTART),
    ('a.mp4', 'libx264', FRAGMENTS), ('a.mkv', 'libx264', None),
    ('a.webm', 'libvpx-vp9', None), ('a.avi', 'mpeg4', None),
    ('a.wmv', 'wmv2', None)])
def test_broken_off_downloads(name, codec, options, tmp_path):
    whole = write(tmp_path / name, codec, options)
    assert missing_bytes(str(whole)) == 0
    assert PyAVReader().probe(str(whole)).num_frames == 48
    data = whole.read_bytes()
    path = tmp_path / f'cut_{name}'
    path.write_bytes(data[:len(data) * 2 // 3])
    missing = len(data) - len(data) * 2 // 3
    assert 0 < missing_bytes(str(path)) <= missing
    assert options is FRAGMENTS or missing_bytes(str(path)) == missing
    for call in (PyAVReader().probe, DecordReader().probe,
                 lambda p: PyAVReader().read(p, [0]),
                 lambda p: DecordReader().read(p, [0]),
                 lambda p: make_sources(p, 'x', PyAVReader())):
        with pytest.raises(VideoReadError, match='cut_.*broke off.*accept'):
            call(str(path))
    for reader in (PyAVReader(accept_truncated=True),
                   DecordReader(accept_truncated=True)):
        count = reader.probe(str(path)).num_frames
        assert 10 < count < 47
        out = reader.read(str(path), [0, 7, count - 1])
        assert [read_number(f) for f in out] == [0, 7, count - 1]


def test_the_option_reaches_the_loader(tmp_path):
    whole = write(tmp_path / 'a.mkv')
    path = tmp_path / 'cut.mkv'
    path.write_bytes(whole.read_bytes()[:-3000])
    results = dict(video_path=str(path), frame_ids=np.array([0, 5]))
    with pytest.raises(VideoReadError, match='broke off'):
        LoadVideoFrames()(dict(results))
    load = LoadVideoFrames(
        reader=dict(type='costa_mm.PyAVReader', accept_truncated=True))
    assert len(load(results)['imgs']) == 2


@pytest.mark.parametrize('head', [
    b'', b'RIFF', b'\x1a\x45\xdf\xa3', b'\x1a\x45\xdf\xa3\xa3\0',
    bytes.fromhex('3026b2758e66cf11a6d900aa0062ce6c'), b'\0\0\0\x08mdat',
    b'\0\0\0\x01mdat', b'\0\0\0\0mdat', b'\0\0\0\x02moov', b'GIF89a;'])
def test_odd_headers_promise_nothing(head, tmp_path):
    path = tmp_path / 'a'
    path.write_bytes(head)
    assert missing_bytes(str(path)) == 0


def test_a_gif_ends_in_its_trailer(tmp_path):
    path = tmp_path / 'a.gif'
    path.write_bytes(b'GIF89a' + bytes(30))
    assert missing_bytes(str(path)) == 1


def test_recordings_of_unknown_length(tmp_path):
    """A live WebM or AVI that nobody closed is what it is."""
    path = tmp_path / 'a.avi'
    path.write_bytes(b'RIFF\0\0\0\0AVI ' + bytes(30))
    assert missing_bytes(str(path)) == 0
    path.write_bytes(b'\x1a\x45\xdf\xa3\x81\0\x18\x53\x80\x67\x01'
                     + b'\xff' * 7 + bytes(30))
    assert missing_bytes(str(path)) == 0
