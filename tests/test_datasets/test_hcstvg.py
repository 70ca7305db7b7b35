# Copyright (c) costa_mm authors. All rights reserved.
import json
import shutil

import numpy as np
import pytest

from costa_mm.datasets import HCSTVGDataset, SchemaError, VideoReadError
from costa_mm.registry import DATASETS
from costa_mm.structures import EpochIndex

PIPELINE = [
    dict(type='SampleFrames', num_frames=16),
    dict(type='RandomTemporalCrop', level='frames'),
    dict(type='LoadVideoFrames'),
    dict(type='LoadTubeAnnotations'),
    dict(type='FlipWithText'),
    dict(type='ResizeClip', short_side=[32, 48], max_size=64),
    dict(type='PackSTVGInputs'),
]


@pytest.fixture
def videos(clip, tmp_path):
    folder = tmp_path / 'videos'
    folder.mkdir()
    for name in ('a.mp4', 'b.mp4', 'c.mp4'):
        shutil.copy(clip, folder / name)
    return dict(video=str(folder))


def build(ann, videos, **kwargs):
    return HCSTVGDataset(ann, data_prefix=videos, **kwargs)


def test_v1_entry_in_our_units(make_ann, videos, v1_entry):
    dataset = build(make_ann({'a.mp4': v1_entry}), videos)
    record = dataset.get_data_info(0)
    tube = record['gt_tube']
    assert tube.span == (10, 30)  # st_frame counts from 1
    assert tube.frame_ids.tolist() == list(range(10, 30))
    assert tube.boxes[0].tolist() == [10, 8, 40, 48]  # xywh in the file
    assert record['segment'] == (0, 48) and record['num_frames'] == 48
    assert record['fps'] == pytest.approx(24)
    assert record['sample_id'] == record['video_id'] == 'a.mp4'
    assert record['sentence'] == v1_entry['caption']
    assert record['qtype'] is None and record['factors'] is None


def test_frames_are_trusted_before_times(make_ann, videos, v1_entry):
    v1_entry['ed_time'] = 99.0
    dataset = build(make_ann({'a.mp4': v1_entry}), videos)
    assert dataset.get_data_info(0)['gt_tube'].span == (10, 30)


def test_v2_lacks_the_size(make_ann, videos, v1_entry):
    v1_entry['English'] = v1_entry.pop('caption')
    del v1_entry['width'], v1_entry['height']
    v1_entry['bbox'][3] = [60, 40, 500, 500]  # x + w exceeds the frame
    v1_entry['bbox'][5] = [-40, 0, -27, -47]  # as in eight released videos
    v1_entry['bbox'][7] = [10, 10, 0, 9]
    v1_entry['bbox'][9] = [200, 10, 5, 5]  # outside
    dataset = build(make_ann({'a.mp4': v1_entry}), videos)
    record = dataset.get_data_info(0)
    assert (record['width'], record['height']) == (96, 64)
    tube = record['gt_tube']
    assert tube.span == (10, 30)
    assert sorted(set(range(10, 30)) - set(tube.frame_ids)) == [15, 17, 19]
    assert tube.boxes[3].tolist() == [60, 40, 96, 64]
    assert 'some boxes without area' in dataset.problems.summary()


def test_img_size_of_v2_is_height_then_width(make_ann, videos, v1_entry):
    del v1_entry['width'], v1_entry['height']
    v1_entry['img_size'] = [64, 96]
    record = build(make_ann({'a.mp4': v1_entry}), videos).get_data_info(0)
    assert (record['width'], record['height']) == (96, 64)


def test_a_tube_may_jump_and_touch_the_last_frame(make_ann, videos, v1_entry):
    v1_entry['st_frame'] = 29
    v1_entry['bbox'][10:] = [[60, 2, 8, 8]] * 10
    record = build(make_ann({'a.mp4': v1_entry}), videos).get_data_info(0)
    assert record['gt_tube'].span == (28, 48)
    assert len(record['gt_tube'].boxes) == 20


def test_event_over_the_end_is_cut(make_ann, videos, v1_entry):
    v1_entry['st_frame'] = 40
    dataset = build(make_ann({'a.mp4': v1_entry}), videos)
    tube = dataset.get_data_info(0)['gt_tube']
    assert tube.span == (39, 48) and tube.frame_ids.max() == 47
    assert 'event cut at the end' in dataset.problems.summary()


def test_frame_rate_rules(make_ann, videos, v1_entry):
    ann = make_ann({'a.mp4': v1_entry})
    assert build(ann, videos, clip_seconds=20).get_data_info(0)['fps'] == 2.4
    v1_entry['fps'] = 25
    ann = make_ann({'a.mp4': v1_entry})
    assert build(ann, videos, clip_seconds=20).get_data_info(0)['fps'] == 25
    del v1_entry['fps']
    v1_entry['st_frame'], v1_entry['st_time'] = 1, 0.0  # says nothing
    ann = make_ann({'a.mp4': v1_entry})
    assert build(ann, videos).get_data_info(0)['fps'] == pytest.approx(24)


@pytest.mark.parametrize('lacking', [
    ['img_num'], ['img_num', 'width', 'height'], ['width'], []])
@pytest.mark.parametrize('test_mode', [True, False])
def test_the_rate_does_not_depend_on_what_is_probed(
        lacking, test_mode, make_ann, videos, v1_entry):
    for key in lacking:
        del v1_entry[key]
    ann = make_ann({'a.mp4': v1_entry})

    def fps(**options):
        dataset = build(ann, videos, test_mode=test_mode, **options)
        return dataset.get_data_info(0)['fps']

    assert fps(clip_seconds=20) == 2.4 and fps(clip_seconds=12) == 4
    assert fps() == pytest.approx(24)
    ann = make_ann({'a.mp4': dict(v1_entry, fps=25)})
    assert fps(clip_seconds=20) == 25


def test_the_rate_of_a_compact_file_and_of_bare_sentences(make_ann, videos):
    compact = dict(videos=[dict(path='a.mp4', sentences=[dict(text='a')])])
    for content in (compact, {'a.mp4': dict(English='a man walks')}):
        dataset = build(make_ann(content), videos, clip_seconds=20,
                        test_mode=True)
        assert dataset.get_data_info(0)['fps'] == 2.4
    compact['videos'][0]['num_frames'] = 40
    dataset = build(make_ann(compact), videos, clip_seconds=20,
                    test_mode=True)
    assert dataset.get_data_info(0)['fps'] == 2


def test_unusable_entries_are_left_out_with_a_reason(make_ann, videos,
                                                     v1_entry, tmp_path):
    (tmp_path / 'videos' / 'broken.mkv').write_bytes(b'x' * 5000)
    flat = dict(v1_entry, bbox=[[3, 3, 0, 0]] * 4)
    late = dict(v1_entry, st_frame=100)
    dataset = build(
        make_ann({
            'a.mp4': v1_entry,
            'b.mp4': flat,
            'c.mp4': late,
            'gone.mp4': v1_entry,
            'broken.mkv': v1_entry
        }), videos)
    assert len(dataset) == 1
    reasons = dataset.problems.to_dict()
    assert reasons['missing video'] == ['gone.mp4']
    assert reasons['unreadable video'] == ['broken.mkv']
    assert reasons['no usable box'] == ['b.mp4']
    assert reasons['event behind the end of the video'] == ['c.mp4']


def test_nothing_left_raises(make_ann, videos, v1_entry):
    v1_entry['bbox'] = [[3, 3, 0, 0]]
    with pytest.raises(ValueError, match='no usable box: a.mp4'):
        build(make_ann({'a.mp4': v1_entry}), videos)
    with pytest.raises(
            FileNotFoundError, match='expected for example.*zz.mp4'
            r'(?s:.*)1 x missing video: zz.mp4'):
        build(make_ann({'zz.mp4': v1_entry}), videos)
    with pytest.raises(FileNotFoundError, match='none.json'):
        build('none.json', videos)


def test_videos_in_folders_below_or_repacked(make_ann, videos, v1_entry,
                                             tmp_path):
    part = tmp_path / 'videos' / '7'
    part.mkdir()
    shutil.move(tmp_path / 'videos' / 'b.mp4', part / 'b.mp4')
    dataset = build(
        make_ann({
            'b.mp4': v1_entry,
            'c.mkv': v1_entry
        }), videos)
    paths = [dataset.get_data_info(i)['video_path'] for i in range(2)]
    assert paths[0].endswith('7/b.mp4') and paths[1].endswith('c.mp4')


@pytest.mark.parametrize('change, what', [
    (dict(bbox=None), 'bbox'),
    (dict(bbox=[[1, 2, 3]]), 'four numbers'),
    (dict(bbox=[[1, 2, 3, 'x']]), 'four numbers'),
    (dict(bbox=[]), 'bbox'),
    (dict(st_frame=0), 'between 1'),
    (dict(st_frame='1'), 'whole number'),
    (dict(st_frame=1.5), 'whole number'),
    (dict(img_num=0), 'between 1'),
    (dict(caption=''), 'sentence'),
    (dict(caption=7), 'sentence'),
    (dict(width=-1), 'between 1'),
    (dict(qtype='odd'), 'qtype'),
    (dict(fps=0), 'positive'),
    (dict(fps=float('nan')), 'positive'),
])
def test_a_wrong_entry_is_named(change, what, make_ann, videos, v1_entry):
    ann = make_ann({'ok.mp4': v1_entry, 'bad.mp4': dict(v1_entry, **change)})
    with pytest.raises(SchemaError, match=f'ann.json: bad.mp4: .*{what}'):
        build(ann, videos)


@pytest.mark.parametrize('content', [
    '[]', '{"a.mp4": 3}', '3', 'null', '{', '', '{}', '{"a.mp4": {}}',
    '[{"vid": "1"}]', '{"a.mp4": {"bbox": [[1, 2, 3, 4]]}}', '[' * 9999
])
def test_a_wrong_schema_raises(content, make_ann, videos):
    with pytest.raises(ValueError, match='ann.json'):
        build(make_ann(content), videos)


def test_no_ground_truth_is_for_testing(make_ann, videos):
    ann = make_ann({'a.mp4': dict(English='a man walks')})
    with pytest.raises(ValueError, match='no true span'):
        build(ann, videos)
    dataset = build(ann, videos, test_mode=True, pipeline=PIPELINE)
    sample = dataset[0]['data_samples']
    assert 'gt_boxes' not in sample and 'draw' not in sample
    assert sample.num_frames == 48


def test_qtype_and_factors(make_ann, videos, v1_entry, tmp_path):
    v1_entry['qtype'] = 'interrogative'
    make_ann({'a': dict(event='move')}, 'factors.json')
    dataset = build(
        make_ann({'a.mp4': v1_entry}),
        videos,
        data_root=str(tmp_path),
        factors_file='factors.json')
    record = dataset.get_data_info(0)
    assert record['qtype'] == record['gt_tube'].qtype == 'interrogative'
    assert record['factors'] == record['gt_tube'].factors == dict(event='move')


def test_through_the_registry_and_the_pipeline(make_ann, videos, v1_entry):
    dataset = DATASETS.build(
        dict(
            type='costa_mm.HCSTVGDataset',
            ann_file=make_ann({'a.mp4': v1_entry}),
            data_prefix=videos,
            pipeline=PIPELINE))
    packed = dataset[EpochIndex(0, 3)]
    sample = packed['data_samples']
    time, _, height, width = packed['inputs'].shape
    assert min(height, width) in (32, 43)
    assert sample.img_shape == (height, width)
    assert sample.ori_shape == (64, 96)
    assert len(sample.frame_ids) == time == len(sample.gt_boxes)
    assert 0 <= sample.draw < 1
    first, last = sample.gt_span.tolist()
    assert all(10 <= f < 30 for f in sample.frame_ids[first:last + 1])


def same(one, other):
    a, b = one['data_samples'], other['data_samples']
    return (a.draw == b.draw and a.flip == b.flip
            and a.img_shape == b.img_shape
            and np.array_equal(a.frame_ids, b.frame_ids)
            and bool((one['inputs'] == other['inputs']).all()))


def test_draws_depend_on_seed_epoch_and_index_alone(make_ann, videos,
                                                    v1_entry):
    ann = make_ann({name: v1_entry for name in ('a.mp4', 'b.mp4', 'c.mp4')})
    one = build(ann, videos, pipeline=PIPELINE, seed=5)
    two = build(ann, videos, pipeline=PIPELINE, seed=5)
    keys = [(i, e) for e in range(4) for i in range(3)]
    first = {k: one[EpochIndex(*k)] for k in keys}
    for k in reversed(keys):
        np.random.seed(k[0])
        assert same(first[k], two[EpochIndex(*k)])
    assert len({s['data_samples'].draw for s in first.values()}) == len(keys)
    other = build(ann, videos, pipeline=PIPELINE, seed=6)
    assert other[EpochIndex(0, 0)]['data_samples'].draw != first[
        0, 0]['data_samples'].draw


def test_a_plain_index_draws_from_numpy(make_ann, videos, v1_entry):
    dataset = build(make_ann({'a.mp4': v1_entry}), videos, pipeline=PIPELINE)
    np.random.seed(1)
    one, two = dataset[0], dataset[0]
    np.random.seed(1)
    assert same(one, dataset[0]) and not same(one, two)


def test_testing_is_deterministic(make_ann, videos, v1_entry):
    dataset = build(
        make_ann({'a.mp4': v1_entry}),
        videos,
        pipeline=PIPELINE,
        test_mode=True)
    a, b = dataset[0]['data_samples'], dataset[EpochIndex(0, 7)][
        'data_samples']
    assert a.flip == b.flip and a.img_shape == b.img_shape


@pytest.fixture
def half_broken(make_ann, videos, v1_entry, test_data, tmp_path):
    """Three samples; the video of the second breaks while decoding."""
    shutil.copy(test_data / 'odd' / 'decord_corrupted.mp4',
                tmp_path / 'videos' / 'b.mp4')
    broken = dict(v1_entry, img_num=50, width=1280, height=720)
    return make_ann({'a.mp4': v1_entry, 'b.mp4': broken, 'c.mp4': v1_entry})


def test_a_broken_video_raises_with_path_and_sample(half_broken, videos):
    dataset = build(half_broken, videos, pipeline=PIPELINE)
    with pytest.raises(VideoReadError, match="sample 'b.mp4'.*videos/b.mp4"):
        dataset[1]
    dataset[0], dataset[2]


def test_skip_replaces_by_a_draw_of_the_same_epoch(half_broken, videos):
    dataset = build(half_broken, videos, pipeline=PIPELINE, on_error='skip')
    taken = [dataset[EpochIndex(1, e)]['data_samples'] for e in range(5)]
    again = [dataset[EpochIndex(1, e)]['data_samples'] for e in range(5)]
    assert {s.sample_id for s in taken} == {'a.mp4', 'c.mp4'}
    assert [s.sample_id for s in taken] == [s.sample_id for s in again]
    assert [s.draw for s in taken] == [s.draw for s in again]
    assert dataset.num_skipped >= 10


def test_skip_in_testing_leaves_the_sample_out(half_broken, videos):
    dataset = build(
        half_broken, videos, pipeline=PIPELINE, on_error='skip',
        test_mode=True)
    ids = [dataset[i]['data_samples'].sample_id for i in range(len(dataset))]
    assert ids == ['a.mp4', 'c.mp4', 'c.mp4']  # the metric counts c once


def test_all_broken_raises(half_broken, videos):
    dataset = build(
        half_broken, videos, pipeline=PIPELINE, on_error='skip', indices=[1])
    with pytest.raises(VideoReadError, match='in a row'):
        dataset[0]


def test_a_video_that_vanishes_raises(make_ann, videos, v1_entry, tmp_path):
    dataset = build(make_ann({'a.mp4': v1_entry}), videos, pipeline=PIPELINE)
    (tmp_path / 'videos' / 'a.mp4').unlink()
    with pytest.raises(FileNotFoundError, match="sample 'a.mp4'.*a.mp4"):
        dataset[0]


def test_indices_and_filters(make_ann, videos, v1_entry):
    asks = dict(v1_entry, qtype='interrogative')
    ann = make_ann({'a.mp4': v1_entry, 'b.mp4': asks, 'c.mp4': asks})
    assert len(build(ann, videos, indices=2)) == 2
    assert len(build(ann, videos, indices=3)) == 3
    assert len(build(ann, videos, indices=10)) == 3
    last = build(ann, videos, indices=[2])
    assert last.get_data_info(0)['sample_id'] == 'c.mp4'
    assert len(build(ann, videos, filter_cfg=dict(exclude=['a.mp4']))) == 2
    cfg = dict(qtypes=['interrogative'])
    assert len(build(ann, videos, filter_cfg=cfg)) == 2
    with pytest.raises(ValueError, match='longer than max_frames'):
        build(ann, videos, filter_cfg=dict(max_frames=47))


def test_mistyped_options_raise(make_ann, videos, v1_entry):
    ann = make_ann({'a.mp4': v1_entry})
    with pytest.raises(ValueError, match='filter_cfg knows'):
        build(ann, videos, filter_cfg=dict(exlude=[]))
    with pytest.raises(TypeError):
        build(ann, videos, seeds=3)
    with pytest.raises(ValueError, match='on_error'):
        build(ann, videos, on_error='ignore')


def test_real_clips(test_data):
    folder = test_data / 'real_clips'
    tracks = json.loads((folder / 'tracks.json').read_text())
    dataset = HCSTVGDataset(
        str(folder / 'real_clips.json'),
        data_prefix=dict(video=str(folder)),
        pipeline=PIPELINE)
    assert len(dataset) == 8 and not dataset.problems
    for i in range(8):
        record = dataset.get_data_info(i)
        truth = tracks[record['video_id'][:-4]]
        track = truth['tracks'][0]
        tube = record['gt_tube']
        assert tube.span == (track['begin'], track['end'] + 1)
        assert record['fps'] == pytest.approx(truth['fps'], rel=1e-3)
        expected = np.clip(track['boxes_xyxy'], 0,
                           [truth['width'], truth['height']] * 2)
        assert np.abs(tube.boxes - expected).max() <= 1.5  # rounded in v1
        dataset[i]
