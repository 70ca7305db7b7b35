# Copyright (c) costa_mm authors. All rights reserved.
"""What trackers and labelling tools write, in forms of which our own exports
make no use: nothing is read as something else."""
import json
import shutil

import pytest
from test_datasets.test_annotation_faults import told

from costa_mm.datasets import COCOVideoDataset, SchemaError


@pytest.fixture
def root(clip, tmp_path):
    """A folder of two videos."""
    for name in ('0.mp4', '1.mp4'):
        shutil.copy(clip, tmp_path / name)
    return tmp_path / '0.mp4'


def records(dataset):
    return [dataset.get_data_info(i) for i in range(len(dataset))]


# --------------------------------------------------------------------- COCO
def coco(instances, ids=(1, 1), **changes):
    """Two videos of ten frames, an instance in each."""
    data = dict(videos=[dict(id=v, name=f'{v}.mp4') for v in (0, 1)],
                images=[], annotations=[], instances=instances, **changes)
    for video, instance in enumerate(ids):
        for frame in range(10):
            image = 10 * video + frame
            data['images'].append(
                dict(id=image, video_id=video, frame_id=frame))
            data['annotations'].append(
                dict(image_id=image, instance_id=instance,
                     bbox=[video * 10 + 5, 5, 20, 20]))
    return data


def said(sentence, instance=1, **more):
    return dict(id=instance, sentence=sentence, **more)


def test_an_instance_of_several_videos_needs_a_video(root, make_ann):
    lines = told(
        coco([said('a man', video_id=0), said('a dog'),
              said('a cat', video_id=None)]), root, make_ann,
        COCOVideoDataset)
    assert lines[:2] == [
        f'error: instances[{k}]: the instance 1 is in several videos, [0, 1]; '
        'fix: add "video_id", the id of the video that the sentence is about'
        for k in (1, 2)
    ]


def test_sentences_with_their_video(root, make_ann):
    path = make_ann(coco([said('b', video_id=1), said('a', video_id=0),
                          said('c', video_id=1, span=[2, 5])]))
    dataset = COCOVideoDataset(path, data_prefix=dict(video=str(root.parent)))
    assert [(r['sentence'], r['video_id'], r['gt_tube'].boxes[0, 0],
             r['gt_tube'].span) for r in records(dataset)] == [
        ('a', '0.mp4', 5, (0, 10)), ('b', '1.mp4', 15, (0, 10)),
        ('c', '1.mp4', 15, (2, 5))]


def test_ids_that_are_unique_need_no_video(root, make_ann):
    path = make_ann(coco([said('b', 2), said('a', 1)], (1, 2)))
    dataset = COCOVideoDataset(path, data_prefix=dict(video=str(root.parent)))
    assert [(r['sentence'], r['video_id']) for r in records(dataset)] == [
        ('a', '0.mp4'), ('b', '1.mp4')]


def test_an_instance_that_is_not_in_its_video(root, make_ann):
    line = told(coco([said('a', 1, video_id=1)], (1, 2)), root, make_ann,
                COCOVideoDataset)[-1]
    assert line.startswith('error: entry 1 (1.mp4) track 1: there is a '
                           'sentence and no box')


@pytest.mark.parametrize('change, what', [
    (lambda d: d['videos'][1].update(id=0), 'two of the "videos" have the id'),
    (lambda d: d['images'][15].update(id=5), 'two of the "images" have the'),
    (lambda d: d['instances'].append(3), r'instances\[1\] is 3, not an obj'),
    (lambda d: d['instances'][0].update(video_id=7), 'ids fit together'),
    (lambda d: d['instances'][0].update(id=9), 'ids fit together'),
])
def test_ids_that_do_not_fit(change, what, root, make_ann):
    data = json.loads(json.dumps(coco([said('a')], (1, 2))))
    change(data)
    with pytest.raises(SchemaError, match=f'ann.json: .*{what}'):
        COCOVideoDataset(make_ann(data),
                         data_prefix=dict(video=str(root.parent)))
