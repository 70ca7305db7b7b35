# Copyright (c) costa_mm authors. All rights reserved.
import av
import numpy as np
import pytest
from test_visualization.beeps import add_beep, loud_seconds

from costa_mm.visualization import write_video
from costa_mm.visualization.sound import add_sound


def silent(path, seconds=2.0):
    write_video(path, np.zeros((round(10 * seconds), 64, 64, 3), np.uint8), 10)
    return path


@pytest.mark.parametrize('name, codec, late, options', [
    ('a.mp4', 'aac', 0, {}),
    ('a.mkv', 'aac', 3.5, {}),  # as cut from a recording
    ('a.mov', 'pcm_s16le', 0, {}),
    ('a.mkv', 'libopus', 3.5, dict(rate=48000, layout='stereo')),
])
def test_sound_is_where_it_was(name, codec, late, options, tmp_path):
    source = add_beep(tmp_path / name, codec, late, **options)
    path = silent(tmp_path / 'out.mp4')
    before = pictures(path)
    assert add_sound(path, source)
    first, last, found = loud_seconds(path)
    assert found == 'aac'
    assert first == pytest.approx(1, abs=0.05)
    assert last == pytest.approx(1.5, abs=0.05)
    assert pictures(path) == before
    assert [p.name for p in tmp_path.iterdir() if p.name[0] == '.'] == []


def pictures(path):
    """Time and checksum of every picture."""
    with av.open(str(path)) as container:
        return [(f.time, hash(f.to_ndarray().tobytes()))
                for f in container.decode(video=0)]


@pytest.mark.parametrize('name, codec', [('a.mp4', 'aac'),
                                         ('a.mov', 'pcm_s16le')])
def test_sound_of_a_part(name, codec, tmp_path):
    source = add_beep(tmp_path / name, codec)
    path = silent(tmp_path / 'out.mp4', 0.7)
    assert add_sound(path, source, start=1.2)
    first, last, _ = loud_seconds(path)
    assert first < 0.08 and last == pytest.approx(0.3, abs=0.05)
    with av.open(str(path)) as container:
        assert container.duration / av.time_base < 0.8


def test_no_sound(tmp_path):
    source, path = silent(tmp_path / 'a.mp4'), silent(tmp_path / 'b.mp4')
    before = path.read_bytes()
    assert not add_sound(path, source)
    assert path.read_bytes() == before


def test_broken_sound(tmp_path, caplog):
    source = tmp_path / 'a.mp4'
    source.write_bytes(b'no video at all')
    path = silent(tmp_path / 'b.mp4')
    before = path.read_bytes()
    assert not add_sound(path, source)
    assert path.read_bytes() == before
