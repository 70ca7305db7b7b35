# Copyright (c) costa_mm authors. All rights reserved.
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from costa_mm.apis import TubeResult, outputs
from costa_mm.apis.inputs import make_sources
from costa_mm.apis.outputs import (ABSENT_COLOR, KeptFrames, draw_files,
                                   draw_pictures, tracks_of)
from costa_mm.datasets import PyAVReader
from costa_mm.structures import Tube, TubeDataSample
from costa_mm.visualization import PALETTE


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


def test_what_was_not_found_is_grey_and_has_no_box(predictions):
    results, _ = predictions
    found, absent = tracks_of(results)
    assert found.sentence == '1: s a' and found.label == '1: 0.90'
    assert absent.sentence == '2: s b (not in this video)'
    assert absent.label == '2: 0.20' and absent.color == ABSENT_COLOR
    assert absent.box(4) is None and not absent.is_inside(4)
    track, = tracks_of(results[:1])  # one sentence needs no number
    assert track.sentence == 's a' and track.label == 'model 0.90'
    track, = tracks_of(results[1:])
    assert track.sentence == 's b (not in this video)'


def test_colours_stay_with_their_sentences(predictions):
    results, _ = predictions
    _, track = tracks_of(results[::-1])
    assert track.label == '2: 0.90' and track.color == PALETTE[1]


def test_timelines_say_what_was_not_found(predictions, monkeypatch):
    titles = []
    monkeypatch.setattr(outputs, 'timeline_from_sample',
                        lambda s, *args: titles.append(args[:2]))
    for i, (result, sample) in enumerate(zip(*predictions)):
        outputs.draw_timeline(result, sample, i)
    assert titles == [('s a', PALETTE[0]),
                      ('not in this video (0.20): s b', PALETTE[1])]


def test_every_sentence_has_a_timeline(predictions, frames):
    source, = make_sources(frames, ['s a', 's b'], None, fps=10)
    pictures = draw_pictures(source, *predictions)
    assert sorted(pictures) == ['a_timeline', 'b_timeline', 'sheet']


def test_frames_without_a_rate_are_written(predictions, frames, tmp_path):
    source, = make_sources(frames, ['s a', 's b'], None)
    pictures, paths = draw_files(str(tmp_path), source, *predictions)
    assert sorted(paths) == sorted(['video', *pictures])
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        p.rsplit('/', 1)[1] for p in paths.values())


def test_all_is_drawn_from_one_pass_over_the_video(
        predictions, video, tmp_path, monkeypatch):
    source, = make_sources(str(video), ['s a', 's b'], PyAVReader())
    results, samples = predictions
    shown = np.random.default_rng(0).random((10, 4, 6)).astype(np.float32)
    results[0] = replace(results[0], attention=shown)
    apart = draw_pictures(source, results, samples)

    def read(*_):
        raise AssertionError('decoded once more')

    monkeypatch.setattr(PyAVReader, 'read', read)
    pictures, paths = draw_files(str(tmp_path), source, results, samples)
    assert sorted(pictures) == ['a_attention', 'a_timeline', 'b_timeline',
                                'sheet']
    for name, picture in pictures.items():
        assert (picture == apart[name]).all(), name
        with Image.open(paths[name]) as written:
            assert (np.asarray(written) == picture).all(), name


def test_a_video_shorter_than_it_says_still_has_its_pictures(
        predictions, frames):
    source, = make_sources(frames, ['s a', 's b'], None, fps=10)
    keep = KeptFrames(source, predictions[0])
    list(keep.watch(frames[:12]))
    for tile, i in zip(keep.read_tiles(), keep.sheet):
        assert (tile == keep.painter.fit(frames[i])).all()
    assert (keep.read(keep.sheet) == frames[keep.sheet]).all()
