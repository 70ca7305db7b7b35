# Copyright (c) costa_mm authors. All rights reserved.
"""Events as videos of their own, and sound in what is drawn."""
import dataclasses

import av
import numpy as np
import pytest
from test_apis.moving_tube import result
from test_datasets.conftest import read_number, write_video
from test_visualization.beeps import add_beep, loud_seconds

from costa_mm.apis import cut_events
from costa_mm.apis.inputs import make_sources
from costa_mm.apis.outputs import write_tube_video
from costa_mm.datasets import PyAVReader, VideoReadError


def numbers(path):
    return [read_number(frame) for frame in PyAVReader().stream(str(path))]


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """48 numbered frames, 24 per second."""
    return write_video(tmp_path_factory.mktemp('clips') / 'dog.mp4')


@pytest.mark.parametrize('margin, first, last', [
    (0, 5, 29), (0.125, 2, 32), (9, 0, 47)])
def test_a_clip_has_the_frames_of_the_event(clip, margin, first, last,
                                            tmp_path):
    results = [result(clip, 'dog_0', (5, 30)),
               result(clip, 'dog_1', (0, 9), found=False)]
    path, = cut_events(results, tmp_path, margin=margin)
    assert path == str(tmp_path / 'dog_0.mp4')
    assert numbers(path) == list(range(first, last + 1))
    assert PyAVReader().probe(path).fps == 24


def test_margins_keep_to_the_true_clock(clip, tmp_path):
    """Frame k is shown at k * k seconds."""
    late = result(clip, 'a', (10, 20), seconds=np.arange(49.)**2)
    path, = cut_events([late], tmp_path, margin=41)
    assert numbers(path) == list(range(8, 21))  # 100 - 41 s to 400 + 41 s


def test_a_drawn_clip(clip, tmp_path):
    path, = cut_events([result(clip, 'a', (5, 30))], tmp_path, draw=True)
    info = PyAVReader().probe(path)
    assert info.num_frames == 25 and info.height > 64


def test_a_clip_never_replaces_its_video(clip):
    before = clip.read_bytes()
    with pytest.raises(ValueError, match='dog.mp4 is one of the videos'):
        cut_events([result(clip, 'dog', (5, 30))], clip.parent)
    assert clip.read_bytes() == before


def test_a_video_that_is_shorter_now(clip, tmp_path):
    long = result(clip, 'a', (40, 48))
    long = dataclasses.replace(
        long, tube=dataclasses.replace(long.tube, span=(40, 60)))
    with pytest.raises(VideoReadError, match='ends before frame 60'):
        cut_events([long], tmp_path)
    with pytest.raises(FileNotFoundError):
        cut_events([result(tmp_path / 'gone.mp4', 'a', (0, 9))], tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope='module')
def beep(tmp_path_factory):
    """Two seconds, 10 frames per second, loud from 1.0 s to 1.5 s."""
    return add_beep(tmp_path_factory.mktemp('beeps') / 'beep.mp4', 'aac')


def beep_result(path, span, **more):
    some = result(path, 'a', span, size=(64, 64))
    ids = np.arange(20)
    tube = dataclasses.replace(some.tube, frame_ids=ids, num_frames=20,
                               boxes=some.boxes[:20], fps=10.0)
    return dataclasses.replace(some, tube=tube, **more)


def test_clips_and_drawn_videos_keep_their_sound(beep, tmp_path):
    path, = cut_events([beep_result(beep, (8, 20))], tmp_path)
    first, last, _ = loud_seconds(path)
    assert (first, last) == (pytest.approx(0.2, abs=0.05),
                             pytest.approx(0.7, abs=0.05))
    source, = make_sources(str(beep), ['x'], PyAVReader())
    drawn = tmp_path / 'drawn.mp4'
    write_tube_video(str(drawn), source, [beep_result(beep, (8, 20))])
    assert loud_seconds(drawn)[:2] == (pytest.approx(1, abs=0.05),
                                       pytest.approx(1.5, abs=0.05))


def shown(path):
    """When the pictures of a video are shown."""
    return PyAVReader().times(str(path))[:-1]


def test_an_uneven_video_keeps_its_pace_and_its_sound(beep, tmp_path):
    """Frames and sound of a source that slows down."""
    source, = make_sources(str(beep), ['x'], PyAVReader())
    slow = dataclasses.replace(source, seconds=source.seconds**2 / 2)
    drawn = tmp_path / 'drawn.mp4'
    write_tube_video(str(drawn), slow, [beep_result(beep, (8, 20))])
    assert shown(drawn) == pytest.approx(slow.seconds[:-1], abs=1e-4)
    assert loud_seconds(drawn)[0] == pytest.approx(1, abs=0.05)
    path, = cut_events([beep_result(beep, (8, 20), seconds=slow.seconds)],
                       tmp_path)  # from 0.32 s on
    assert shown(path) == pytest.approx(
        slow.seconds[8:-1] - slow.seconds[8], abs=1e-4)
    assert loud_seconds(path)[0] == pytest.approx(0.68, abs=0.05)


def test_an_uneven_video_without_sound(clip, tmp_path):
    source, = make_sources(str(clip), ['x'], PyAVReader())
    rng = np.random.default_rng(0)
    seconds = np.insert(rng.uniform(0.01, 0.4, 48).cumsum(), 0, 0)
    source = dataclasses.replace(source, seconds=seconds)
    drawn = tmp_path / 'drawn.mp4'
    write_tube_video(str(drawn), source, [result(clip, 'a', (5, 30))])
    assert shown(drawn) == pytest.approx(seconds[:-1], abs=1e-4)
    with av.open(str(drawn)) as container:
        times = [p.dts for p in container.demux(video=0) if p.dts is not None]
        assert times == sorted(set(times)) and len(times) == 48
        assert not container.streams.audio
