# Copyright (c) costa_mm authors. All rights reserved.
import json

import numpy as np
import pytest
from test_datasets.conftest import write_video

from costa_mm.datasets import SchemaError, VidSTGDataset

VID = '11566930393'


@pytest.fixture
def entry():
    return dict(
        vid='42',
        fps=24,
        frame_count=48,
        width=96,
        height=64,
        used_segment=dict(begin_fid=4, end_fid=40),
        temporal_gt=dict(begin_fid=10, end_fid=20),
        captions=[dict(description='a dog runs.', type='x', target_id=1)],
        questions=[dict(description='what runs?', type='x', target_id=1),
                   dict(description='what sits?', type='x', target_id=2)])


@pytest.fixture
def vidor():
    """Object 1 lacks frame 13, object 2 has no box in the event."""

    def box(tid, x):
        return dict(
            tid=tid, bbox=dict(xmin=x, ymin=5, xmax=x + 20, ymax=30))

    frames = []
    for i in range(48):
        objects = [] if i == 13 else [box(1, i)]
        frames.append(objects + ([box(2, 3)] if i > 30 else []))
    return dict(trajectories=frames)


@pytest.fixture
def build(tmp_path, clip, make_ann, vidor):

    def _build(entries, **kwargs):
        (tmp_path / 'v' / '0001').mkdir(parents=True, exist_ok=True)
        (tmp_path / 'o' / '0001').mkdir(parents=True, exist_ok=True)
        (tmp_path / 'v/0001/42.mp4').write_bytes(clip.read_bytes())
        (tmp_path / 'o/0001/42.json').write_text(json.dumps(vidor))
        prefix = kwargs.pop('data_prefix', dict(video='v', vidor='o'))
        return VidSTGDataset(
            make_ann(entries),
            data_root=str(tmp_path),
            data_prefix=prefix,
            **kwargs)

    return _build


def test_ends_gaps_and_query_types(build, entry):
    dataset = build([entry])
    records = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [r['sample_id'] for r in records] == ['42_0_c0', '42_0_q0']
    assert [r['qtype'] for r in records] == ['declarative', 'interrogative']
    for record in records:
        assert record['segment'] == (4, 41)  # end_fid is inclusive here
        tube = record['gt_tube']
        assert tube.segment == (4, 41)
        assert tube.span == (10, 20)  # and exclusive here
        assert tube.frame_ids.tolist() == [10, 11, 12, 14, 15, 16, 17, 18, 19]
        assert tube.boxes[0].tolist() == [10, 5, 30, 30]
    assert dataset.problems.to_dict()['no usable box'] == ['42_0_q1']


def test_event_to_the_end_of_the_video(build, entry):
    entry['temporal_gt'] = dict(begin_fid=40, end_fid=48)
    entry['used_segment'] = dict(begin_fid=0, end_fid=47)
    record = build([entry]).get_data_info(0)
    assert record['gt_tube'].span == (40, 48)
    assert record['segment'] == (0, 48)


def test_entry_without_questions(build, entry):
    entry['questions'] = []
    assert len(build([entry])) == 1
    del entry['questions']
    assert len(build([entry])) == 1


def test_missing_boxes_are_said(build, entry, tmp_path):
    other = dict(entry, vid='43')
    (tmp_path / 'v' / '0001').mkdir(parents=True)
    write_video(tmp_path / 'v' / '0001' / '43.mp4', 48)
    dataset = build([entry, other])
    assert len(dataset.problems.to_dict()['missing VidOR annotation']) == 3
    with pytest.raises(FileNotFoundError, match='43.json'):
        build([other])


def test_without_boxes_time_can_be_tested(build, entry):
    dataset = build([entry], data_prefix=dict(video='v'), test_mode=True)
    tube = dataset.get_data_info(2)['gt_tube']
    assert tube.span == (10, 20) and not len(tube.boxes)
    with pytest.raises(ValueError, match='no usable box'):
        build([entry], data_prefix=dict(video='v'))


@pytest.mark.parametrize('change, what', [
    (dict(temporal_gt=None), 'temporal_gt.*not an object'),
    (dict(temporal_gt=dict(begin_fid=3)), 'end_fid'),
    (dict(temporal_gt=dict(begin_fid=9, end_fid=9)), 'empty'),
    (dict(frame_count='5'), 'whole number'),
    (dict(captions='x'), 'not a list'),
    (dict(captions=[dict(description='')]), 'sentence'),
    (dict(captions=[3]), r'captions.0.: .*not an object'),
    (dict(questions=[dict(description='a')]), 'target_id'),
])
def test_a_wrong_entry_is_named(change, what, build, entry):
    place = 'ann.json: entry 1 .42.mp4.'
    with pytest.raises(SchemaError, match=f'{place}.*{what}'):
        build([dict(entry, vid='41'), dict(entry, **change)])


@pytest.mark.parametrize('content', ['{}', '[3]', '[]', '"x"', '[{}]'])
def test_a_wrong_schema_raises(content, build):
    with pytest.raises(ValueError, match='ann.json'):
        build(json.loads(content))


def test_a_wrong_vidor_file_is_named(build, entry, vidor):
    vidor['trajectories'][10] = [dict(tid=1)]
    with pytest.raises(SchemaError, match='42.json.*bbox'):
        build([entry])
    vidor['trajectories'][10] = vidor['trajectories'][11] * 2
    with pytest.raises(SchemaError, match='object 1 has two boxes'):
        build([entry])


def test_real_validation_sentences(test_data):
    path = test_data / 'vidstg' / 'val_annotations.json'
    drafts = VidSTGDataset(str(path), lazy_init=True).read_annotations()
    assert len(drafts) == 3996 + 4960 == 8956  # as published
    assert len({d.sample_id for d in drafts}) == len(drafts)
    kinds = [d.qtype for d in drafts]
    assert kinds.count('interrogative') == 4960
    for draft in drafts:
        assert draft.segment[0] <= draft.span[0] < draft.span[1]
        assert draft.span[1] <= draft.segment[1] <= draft.num_frames
    to_the_end = {d.sample_id.rsplit('_', 1)[0]
                  for d in drafts if d.span[1] == d.num_frames}
    assert len(to_the_end) == 744


def test_a_whole_real_record(test_data, tmp_path):
    """The one video whose VidOR boxes are at hand; blank frames."""
    source = json.loads(
        (test_data / 'vidor' / f'{VID}.json').read_text())
    write_video(
        tmp_path / f'{VID}.mp4', 872, size=(480, 640), fps=30,
        options=dict(preset='ultrafast', g='250'))
    dataset = VidSTGDataset(
        str(test_data / 'vidstg' / f'test_annotations_{VID}.json'),
        data_prefix=dict(
            video=str(tmp_path), vidor=str(test_data / 'vidor')),
        pipeline=[
            dict(type='SampleFrames', num_frames=8),
            dict(type='LoadVideoFrames'),
            dict(type='LoadTubeAnnotations'),
            dict(type='ResizeClip', short_side=120),
            dict(type='PackSTVGInputs')
        ])
    assert len(dataset) == 8
    record = dataset.get_data_info(0)
    tube = record['gt_tube']
    assert tube.span == (79, 99) and record['segment'] == (0, 121)
    for frame, box in zip(tube.frame_ids, tube.boxes):
        objects = {o['tid']: o['bbox'] for o in source['trajectories'][frame]}
        raw = [objects[0][k] for k in ('xmin', 'ymin', 'xmax', 'ymax')]
        np.testing.assert_array_equal(box, raw)
    packed = dataset[0]
    sample = packed['data_samples']
    assert packed['inputs'].shape == (8, 3, 120, 160)
    assert sample.frame_ids.tolist() == [0, 17, 34, 51, 68, 85, 102, 120]
    assert sample.gt_span.tolist() == [5, 5]
    at = tube.frame_ids.tolist().index(85)
    np.testing.assert_allclose(sample.gt_boxes[5], tube.boxes[at] / 4)
