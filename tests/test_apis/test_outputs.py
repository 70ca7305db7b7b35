# Copyright (c) costa_mm authors. All rights reserved.
import numpy as np
import pytest

from costa_mm.apis import TubeResult
from costa_mm.apis.inputs import make_sources
from costa_mm.apis.outputs import draw_pictures, tracks_of, write_files
from costa_mm.structures import Tube, TubeDataSample


def predicted(sample_id, score):
    ids = np.arange(0, 30, 3)
    sample = TubeDataSample(
        metainfo=dict(
            sample_id=sample_id, video_path='v', sentence=f's {sample_id}',
            ori_shape=(64, 96), num_frames=30, fps=10., frame_ids=ids))
    sample.pred_tube = Tube((4, 20), np.arange(30), [[5, 5, 40, 40]] * 30,
                            num_frames=30, fps=10.)
    sample.pred_score = score
    sample.pred_start = sample.pred_end = np.full(10, .1)
    return sample


@pytest.fixture
def predictions():
    samples = [predicted('a', 0.9), predicted('b', 0.2)]
    return [TubeResult.from_sample(s, 0.5) for s in samples], samples


def test_only_what_was_found_is_drawn(predictions):
    results, samples = predictions
    track, = tracks_of(results, samples)
    assert track.sentence == '1: s a'
    assert tracks_of(results[1:], samples[1:]) == []
    track, = tracks_of(results[:1], samples[:1])
    assert track.sentence == 's a'  # one sentence needs no number


def test_every_sentence_has_a_timeline(predictions, frames):
    source, = make_sources(frames, ['s a', 's b'], None, fps=10)
    pictures = draw_pictures(source, *predictions)
    assert sorted(pictures) == ['a', 'b', 'sheet']


def test_frames_without_a_rate_are_written(predictions, frames, tmp_path):
    source, = make_sources(frames, ['s a', 's b'], None)
    pictures = draw_pictures(source, *predictions)
    paths = write_files(str(tmp_path), source, *predictions, pictures)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        p.rsplit('/', 1)[1] for p in paths.values())
