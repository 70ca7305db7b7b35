# Copyright (c) costa_mm authors. All rights reserved.
import gzip
import json
import pickle

import numpy as np
import pytest

from costa_mm.datasets import (HCSTVGDataset, SchemaError, STVGDataset,
                               VidSTGDataset)
from costa_mm.datasets.records import pack_tube, unpack_tube
from costa_mm.structures import Tube

PIPELINE = [
    dict(type='SampleFrames', num_frames=8),
    dict(type='LoadVideoFrames'),
    dict(type='LoadTubeAnnotations'),
    dict(type='PackSTVGInputs'),
]


@pytest.fixture
def build(clip, make_ann):

    def _build(content, cls=STVGDataset, name='ann.json', **kwargs):
        return cls(
            make_ann(content, name),
            data_prefix=dict(video=str(clip.parent)),
            **kwargs)

    return _build


def video(*sentences, **more):
    return dict(videos=[dict(path='clip.mp4', sentences=sentences, **more)])


FULL = dict(
    text=' A dog. ', id='s1', qtype='declarative', span=[10, 14],
    boxes={'10': [1, 2, 30, 40], '13': [3, 4, 50.5, 60]})


def test_full_record(build):
    dataset = build(
        video(
            FULL,
            dict(text='What runs?', qtype='interrogative', span=[0, 3],
                 boxes=[[1, 1, 9, 9], None, [2, 2, 9, 9]], segment=[0, 20],
                 factors=dict(event='run')),
            num_frames=48, fps=24, width=96, height=64, id='dog'))
    one, two = (dataset.get_data_info(i) for i in range(2))
    assert one['sample_id'] == 's1' and two['sample_id'] == 'dog_1'
    assert one['video_id'] == 'dog' and one['sentence'] == 'A dog.'
    assert one['gt_tube'].frame_ids.tolist() == [10, 13]
    assert one['gt_tube'].boxes[1].tolist() == [3, 4, 50.5, 60]
    assert one['segment'] == (0, 48) and two['segment'] == (0, 20)
    assert two['gt_tube'].frame_ids.tolist() == [0, 2]
    assert two['factors'] == dict(event='run')
    assert one['fps'] == 24


def test_what_is_absent_is_probed(build):
    record = build(video(FULL)).get_data_info(0)
    assert (record['num_frames'], record['width'], record['height']) == (48,
                                                                         96,
                                                                         64)
    assert record['fps'] == pytest.approx(24)


def test_tracks_are_shared(build):
    dataset = build(
        video(
            dict(text='a', span=[5, 8], track='7'),
            dict(text='b', span=[6, 20], track=7),
            tracks={'7': dict(start=6, boxes=[[i, 0, 60, 60]
                                              for i in range(4)])}))
    one, two = (dataset.get_data_info(i)['gt_tube'] for i in range(2))
    assert one.frame_ids.tolist() == [6, 7]
    assert two.frame_ids.tolist() == [6, 7, 8, 9]
    assert two.boxes[3].tolist() == [3, 0, 60, 60]


def test_sentences_without_truth(build):
    bare = dict(text='a cat')
    timed = dict(text='a cat', span=[3, 9])
    with pytest.raises(ValueError, match='no true span'):
        build(video(bare))
    with pytest.raises(ValueError, match='no usable box'):
        build(video(timed))
    dataset = build(
        video(bare, timed), test_mode=True, pipeline=PIPELINE)
    assert len(dataset) == 2
    one, two = (dataset[i]['data_samples'] for i in range(2))
    assert 'gt_tube' not in one and 'gt_span' not in one
    assert two.gt_tube.span == (3, 9) and not two.gt_box_mask.any()
    assert len(build(video(bare, FULL))) == 1


@pytest.mark.parametrize('cls', [HCSTVGDataset, VidSTGDataset])
def test_every_class_reads_the_compact_format(cls, build):
    assert len(build(video(FULL), cls)) == 1


def test_gzip(build, tmp_path):
    path = tmp_path / 'ann.json.gz'
    with gzip.open(path, 'wt') as f:
        json.dump(video(FULL), f)
    with pytest.raises(FileNotFoundError, match='clip.mp4'):
        STVGDataset(str(path), data_root=str(tmp_path))
    (tmp_path / 'bad.json.gz').write_bytes(b'\x1f\x8bxx')
    with pytest.raises(ValueError, match='bad.json.gz'):
        STVGDataset(str(tmp_path / 'bad.json.gz'))


@pytest.mark.parametrize('sentence, what', [
    (dict(FULL, txt='x'), 'unknown keys.*txt'),
    (dict(FULL, text=' '), 'sentence'),
    (dict(FULL, text=None), 'sentence'),
    ({k: v for k, v in FULL.items() if k != 'text'}, 'text'),
    (dict(FULL, qtype='x'), 'qtype'),
    (dict(FULL, span=[3, 3]), 'end is exclusive'),
    (dict(FULL, span=[3]), 'not .start, end'),
    (dict(FULL, span=[-1, 3]), 'between 0'),
    (dict(FULL, span=None), 'boxes without a "span"'),
    (dict(FULL, boxes=3), 'boxes'),
    (dict(FULL, boxes={'x': [1, 2, 3, 4]}), 'no number'),
    (dict(FULL, boxes={'1': [1, 2, 3]}), 'four numbers'),
    (dict(FULL, boxes={'1': [1, 2, 3, 4], '01': [1, 2, 3, 4]}), 'twice'),
    (dict(FULL, track='1'), 'not both'),
    (dict(text='a', span=[1, 2], track='1'), 'no track'),
    (dict(FULL, factors=3), 'factors'),
    ('text', 'not an object with'),
])
def test_a_wrong_sentence_is_named(sentence, what, build):
    with pytest.raises(
            SchemaError,
            match=rf'ann.json.*videos\[0\] \(clip.mp4\).*tences\[1\].*{what}'):
        build(video(dict(FULL, id='0'), sentence))


@pytest.mark.parametrize('content, what', [
    (dict(videos=[3]), 'not an object with'),
    (dict(videos=[dict(sentences=[])]), "'path' is missing"),
    (dict(videos=[dict(path='a.mp4')]), "'sentences' is missing"),
    (dict(videos=[dict(path='a.mp4', sentences=3)]), 'sentences'),
    (dict(videos=[dict(path=3, sentences=[])]), '3 is not a file name'),
    (video(FULL, fps=0), 'positive'),
    (video(FULL, num_frames=2.5), 'whole'),
    (video(FULL, frames=3), 'unknown keys'),
    (video(FULL, tracks=[1]), 'tracks'),
    (video(FULL, tracks=dict(a=3)), 'track'),
    (video(FULL, FULL), 'two sentences have this id'),
    (dict(videos=[]), 'no sentence'),
    (dict(video=[]), r'expected \{"videos": .*, not \{.video'),
    ([], r'expected \{"videos": .*, not \[\]'),
])
def test_a_wrong_file_is_named(content, what, build):
    with pytest.raises(SchemaError, match=f'ann.json.*{what}'):
        build(content)


def test_records_can_be_sent_to_workers(build):
    dataset = build(video(FULL), pipeline=PIPELINE)
    again = pickle.loads(pickle.dumps(dataset))
    assert (again[0]['inputs'] == dataset[0]['inputs']).all()
    plain = build(video(FULL), pipeline=PIPELINE, serialize_data=False)
    plain[0]['data_samples'].gt_tube.boxes[:] = -1
    assert plain.get_data_info(0)['gt_tube'].boxes.min() > 0  # no sharing


def test_lazy_init(build):
    dataset = build(video(FULL), pipeline=PIPELINE, lazy_init=True)
    assert dataset[0]['inputs'].shape == (8, 3, 64, 96)


@pytest.mark.parametrize('ids, boxes', [
    (np.arange(100, 370), np.full((270, 4), 5.)),
    (np.array([3, 4, 7]), np.array([[1, 2, 3.5, 4]] * 3)),
    (np.array([3]), np.array([[1, 2, 40000, 4]])),
    (np.zeros(0), np.zeros((0, 4))),
])
def test_a_packed_tube_is_the_same(ids, boxes):
    known = dict(qtype='declarative', num_frames=500, fps=25.0,
                 factors=dict(a=1), segment=(0, 450))
    tube = Tube((3, 400), ids, boxes, **known)
    record = dict(known, gt_tube=tube, sample_id='x')
    packed = pack_tube(record)
    assert record['gt_tube'] is tube
    if len(ids) == 270:  # VidSTG trains on 80,684 such tubes
        assert len(pickle.dumps(packed, -1)) < 3000
    packed = pickle.loads(pickle.dumps(packed))
    unpack_tube(packed)
    assert packed['gt_tube'].to_dict() == tube.to_dict()
    assert packed['gt_tube'].boxes.dtype == np.float64


def test_two_real_sentences_on_one_video(test_data, make_ann):
    name = 'v_IceDancing_g02_c05'
    tracks = json.loads(
        (test_data / 'real_clips' / 'tracks.json').read_text())[name]['tracks']
    assert len(tracks) == 2
    ann = dict(videos=[
        dict(
            path=f'{name}.mp4',
            sentences=[
                dict(text=t['sentence'], span=[t['begin'], t['end'] + 1],
                     boxes=t['boxes_xyxy']) for t in tracks
            ])
    ])
    dataset = STVGDataset(
        make_ann(ann),
        data_prefix=dict(video=str(test_data / 'real_clips')),
        pipeline=PIPELINE)
    one, two = dataset[0], dataset[1]
    assert (one['inputs'] == two['inputs']).all()
    boxes = [s['data_samples'].gt_boxes for s in (one, two)]
    assert (boxes[0] - boxes[1]).abs().mean() > 20  # two dancers
    assert one['data_samples'].sentence != two['data_samples'].sentence
