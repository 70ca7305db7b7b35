# Copyright (c) costa_mm authors. All rights reserved.
import numpy as np
import pytest
import torch
from test_datasets.conftest import break_last_packet, read_number

from costa_mm.datasets import (CleanSentence, ClipColorJitter,
                               LoadTubeAnnotations, LoadVideoFrames,
                               PackSTVGInputs, PyAVReader, VideoReadError)
from costa_mm.structures import Tube, TubeDataSample


def results_for(clip, ids, **more):
    return dict(
        video_path=str(clip),
        frame_ids=np.array(ids),
        num_frames=48,
        width=96,
        height=64,
        **more)


@pytest.mark.parametrize('reader', [
    None, dict(type='costa_mm.PyAVReader'), PyAVReader(num_threads=2),
    dict(type='costa_mm.DecordReader')
])
def test_frames_are_the_asked_ones(clip, reader):
    results = LoadVideoFrames(reader=reader)(results_for(clip, [0, 13, 47]))
    assert [read_number(i) for i in results['imgs']] == [0, 13, 47]
    assert results['ori_shape'] == results['img_shape'] == (64, 96)


def test_pyav_reads_by_default():
    assert isinstance(LoadVideoFrames().reader, PyAVReader)


def test_frames_that_the_container_only_promises_are_dropped(clip):
    """An MKV said 311 frames and held 310."""
    results = results_for(clip, [0, 30, 48])
    results['num_frames'] = 49
    results = LoadVideoFrames()(results)
    assert results['frame_ids'].tolist() == [0, 30]
    assert len(results['imgs']) == 2


@pytest.mark.parametrize('reader', ['PyAVReader', 'DecordReader'])
def test_a_container_that_lists_a_frame_too_many(reader, clip, tmp_path):
    path = break_last_packet(clip, tmp_path / 'tail.mkv')
    load = LoadVideoFrames(reader=dict(type=f'costa_mm.{reader}'))
    assert load.reader.probe(str(path)).num_frames == 48
    results = load(results_for(path, [0, 30, 44, 46, 47]))
    assert results['frame_ids'].tolist() == [0, 30, 44]
    assert [read_number(i) for i in results['imgs']] == [0, 30, 44]


def test_a_cut_off_video_raises(clip, test_data):
    results = results_for(clip, [0, 47, 95])
    results['num_frames'] = 96
    with pytest.raises(VideoReadError, match='another version'):
        LoadVideoFrames()(results)
    results = results_for(
        test_data / 'odd' / 'decord_corrupted.mp4', [0, 20, 40, 49])
    results.update(num_frames=50, width=1280, height=720)
    with pytest.raises(VideoReadError, match='decord_corrupted'):
        LoadVideoFrames()(results)


def test_another_size_than_annotated_raises(clip):
    results = results_for(clip, [0])
    results['width'] = 64
    with pytest.raises(VideoReadError, match='96 x 64.*64 x 64'):
        LoadVideoFrames()(results)


def test_tube_on_sampled_frames():
    """Event 10 to 19; frame 14 has no box; only even frames are sampled."""
    frames = np.array([10, 11, 12, 13, 15, 16, 17, 18, 19])
    boxes = np.stack([frames, frames, frames + 20, frames + 30], 1)
    results = LoadTubeAnnotations()(
        dict(
            gt_tube=Tube((10, 20), frames, boxes),
            frame_ids=np.arange(0, 30, 2),
            ori_shape=(100, 200),
            img_shape=(50, 100)))
    assert results['gt_span'] == (5, 9)
    mask = results['gt_box_mask']
    assert np.flatnonzero(mask).tolist() == [5, 6, 8, 9]
    np.testing.assert_allclose(results['gt_boxes'][6], [6, 6, 16, 21])
    assert (results['gt_boxes'][~mask] == 0).all()
    assert results['gt_boxes'].dtype == np.float32


@pytest.mark.parametrize('tube, has_span, has_box', [
    (Tube((3, 5), [3, 4], np.ones((2, 4))), False, False),
    (Tube((3, 11)), True, False),
    (Tube((3, 11), [5], np.ones((1, 4))), True, False),
])
def test_tube_without_a_sampled_box(tube, has_span, has_box):
    results = LoadTubeAnnotations()(
        dict(
            gt_tube=tube,
            frame_ids=np.array([0, 10, 20]),
            ori_shape=(9, 9),
            img_shape=(9, 9)))
    assert ('gt_span' in results) is has_span
    assert results['gt_box_mask'].any() == has_box


@pytest.mark.parametrize('max_gap, frames', [
    (0, [10, 14, 30]), (4, [10, 12, 14, 30]),
    (16, [10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30])])
def test_key_frames_can_be_joined(max_gap, frames):
    tube = Tube((8, 40), [10, 14, 30],
                [[0, 0, 10, 10], [4, 8, 14, 18], [4, 8, 30, 34]])
    results = LoadTubeAnnotations(max_gap=max_gap)(
        dict(
            gt_tube=tube,
            frame_ids=np.arange(0, 50, 2),
            ori_shape=(50, 50),
            img_shape=(50, 50)))
    mask = results['gt_box_mask']
    assert results['frame_ids'][mask].tolist() == frames
    boxes = dict(zip(frames, results['gt_boxes'][mask].tolist()))
    assert boxes[14] == [4, 8, 14, 18]
    if 12 in boxes:
        assert boxes[12] == [2, 4, 12, 14]
    if 22 in boxes:
        assert boxes[22] == [4, 8, 22, 26]


def test_packing():
    imgs = np.random.default_rng(0).integers(
        0, 255, (4, 6, 8, 3)).astype(np.uint8)
    tube = Tube((1, 3), [1, 2], np.ones((2, 4)))
    packed = PackSTVGInputs()(
        dict(
            imgs=imgs,
            gt_boxes=np.ones((4, 4), dtype=np.float32),
            gt_box_mask=np.ones(4, dtype=bool),
            gt_span=(1, 2),
            gt_tube=tube,
            sample_id='a',
            sentence='s',
            draw=0.25,
            rng=None))
    assert packed['inputs'].shape == (4, 3, 6, 8)
    assert packed['inputs'].dtype == torch.uint8
    np.testing.assert_array_equal(packed['inputs'].permute(0, 2, 3, 1), imgs)
    sample = packed['data_samples']
    assert isinstance(sample, TubeDataSample)
    assert sample.gt_span.tolist() == [1, 2]
    assert sample.gt_box_mask.dtype == torch.bool
    assert sample.gt_tube is tube
    assert sample.metainfo == dict(sample_id='a', sentence='s', draw=0.25)


def test_packing_without_ground_truth_and_of_a_view():
    imgs = np.zeros((2, 6, 8, 3), dtype=np.uint8)[:, 1:4, ::-1]
    packed = PackSTVGInputs()(dict(imgs=imgs, gt_tube=None))
    assert packed['inputs'].shape == (2, 3, 3, 8)
    assert not packed['data_samples'].keys()


def test_jitter_is_the_same_in_all_frames():
    img = np.random.default_rng(1).integers(0, 256, (8, 9, 3))
    imgs = np.stack([img] * 3).astype(np.uint8)
    jitter = ClipColorJitter(
        brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1)
    out = jitter(dict(imgs=imgs, rng=np.random.default_rng(3)))['imgs']
    assert out.dtype == np.uint8 and (out != imgs).any()
    assert (out[0] == out[1]).all() and (out[0] == out[2]).all()
    same = ClipColorJitter()(
        dict(imgs=imgs, rng=np.random.default_rng(3)))['imgs']
    np.testing.assert_array_equal(same, imgs)


def test_jitter_by_hand():
    imgs = np.full((1, 1, 1, 3), 100, dtype=np.uint8)

    class Fixed:
        """A generator that always draws the upper end."""

        def random(self):
            return 0.0

        def uniform(self, low, high):
            return high

    out = ClipColorJitter(brightness=0.5)(dict(imgs=imgs, rng=Fixed()))
    assert out['imgs'].reshape(-1).tolist() == [150] * 3
    red = np.array([[[[200, 0, 0]]]], dtype=np.uint8)
    out = ClipColorJitter(hue=0.5)(dict(imgs=red, rng=Fixed()))
    assert out['imgs'].reshape(-1).tolist() == [0, 200, 200]


def test_clean_sentence():
    clean = CleanSentence(strip_punctuation=True)
    results = clean(dict(sentence="Who's  the man, in 2 half-red Socks?"))
    assert results['sentence'] == "who's the man in 2 half-red socks"
    assert clean(dict(sentence='?!'))['sentence'] == '?!'


def test_words_are_corrected_as_published():
    clean = CleanSentence(strip_punctuation=True, corrections='vidstg')

    def cleaned(text):
        return clean(dict(sentence=text))['sentence']

    assert cleaned('Mthe in a wathet shirt, next_to the-halmet.') == (
        'man in a blue shirt next to the-helmet')
    # words only: "waer" is in the table, "waering" too, "waerings" is not
    assert cleaned('waer waering waerings') == 'water wearing waerings'
    assert cleaned('a palid actmst dog') == 'a dog'
    assert cleaned('a man') == 'a man'


def test_own_corrections():
    clean = CleanSentence(lower=False, corrections={'doggo': 'dog'})
    assert clean(dict(sentence='A Doggo!'))['sentence'] == 'A dog!'
    with pytest.raises(ValueError, match='"vidor"'):
        CleanSentence(corrections='vidor')
