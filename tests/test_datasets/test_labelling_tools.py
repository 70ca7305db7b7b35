# Copyright (c) costa_mm authors. All rights reserved.
"""What trackers and labelling tools write, in forms of which our own exports
make no use: nothing is read as something else."""
import json
import shutil

import numpy as np
import pytest
from test_datasets.test_annotation_faults import told

from costa_mm.datasets import COCOVideoDataset, CVATVideoDataset, SchemaError
from costa_mm.datasets.cvat_video import upright


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


# --------------------------------------------------------------------- CVAT
def cvat(folder, *boxes, head=''):
    """A file with one track; a box is (frame, text, attributes)."""
    lines = []
    for frame, text, *more in boxes:
        attributes = dict(dict(xtl=10, ytl=10, xbr=50, ybr=40, outside=0),
                          **(more[0] if more else {}))
        inner = '' if text is None else (
            f'<attribute name="sentence">{text}</attribute>'
            '<attribute name="colour">red</attribute>')
        lines.append(f'<box frame="{frame}" ' + ' '.join(
            f'{k}="{v}"' for k, v in attributes.items()) + f'>{inner}</box>')
    (folder / 'a.xml').write_text(
        '<annotations><meta><source>0.mp4</source></meta><track id="0" '
        f'label="x">{head}{"".join(lines)}</track></annotations>')
    return CVATVideoDataset(str(folder / 'a.xml'),
                            data_prefix=dict(video=str(folder)))


@pytest.mark.parametrize('corners, degrees, hull', [
    ((30, 20, 50, 24), '90.0', [38, 12, 42, 32]),
    ((30, 20, 50, 24), '270', [38, 12, 42, 32]),
    ((30, 20, 50, 24), '180.00', [30, 20, 50, 24]),
    ((30, 20, 50, 24), '-360', [30, 20, 50, 24]),
    ((30, 20, 50, 24), '0.0', [30, 20, 50, 24]),
    ((30, 20, 50, 40), '45', [40 - 200**.5, 30 - 200**.5, 40 + 200**.5,
                              30 + 200**.5]),
    ((0, 20, 90, 30), '90', [40, 0, 50, 64]),  # clipped to the frame
])
def test_rotated_boxes(corners, degrees, hull, root):
    shape = dict(zip(('xtl', 'ytl', 'xbr', 'ybr'), corners), rotation=degrees)
    dataset = cvat(root.parent, *((k, 'a', shape) for k in range(4)))
    for box in dataset.get_data_info(0)['gt_tube'].boxes:
        assert box.tolist() == pytest.approx(hull, abs=1e-5)


@pytest.mark.parametrize('degrees', [-100, 3, 17.5, 90, 133, 359])
def test_the_upright_box_is_that_of_the_turned_corners(degrees):
    x1, y1, x2, y2 = box = [12., 7., 40., 19.]
    turn = np.exp(1j * np.deg2rad(degrees))
    corners = np.array([complex(x, y) for x in (x1, x2) for y in (y1, y2)])
    centre = corners.mean()
    turned = (corners - centre) * turn + centre
    assert upright(box, degrees) == pytest.approx(
        [turned.real.min(), turned.imag.min(), turned.real.max(),
         turned.imag.max()], abs=1e-5)


def test_a_rotated_box_of_negative_size_is_not_repaired(root):
    odd = dict(xtl=50, xbr=10, rotation=90)
    dataset = cvat(root.parent, (1, 'a'), (2, 'a'), (3, 'a', odd))
    assert dataset.get_data_info(0)['gt_tube'].frame_ids.tolist() == [1, 2]
    with pytest.raises(SchemaError, match="0.mp4: .*float: 'wide'"):
        cvat(root.parent, (1, 'a', dict(rotation='wide')))


def run(frames, text, **more):
    return [(frame, text, more) for frame in frames]


@pytest.mark.parametrize('boxes, expected', [
    (run(range(10), 'walks') + run(range(10, 20), 'sits'),
     [('walks', 0, 10), ('sits', 10, 20)]),
    # the same words again are another event
    (run([0, 1], 'walks') + run([2, 3], 'sits') + run([4, 5], 'walks'),
     [('walks', 0, 2), ('sits', 2, 4), ('walks', 4, 6)]),
    # of several lines one may stay
    (run([0, 1], 'walks\nis tall') + run([2, 3], 'is tall\nsits'),
     [('walks', 0, 2), ('is tall', 0, 4), ('sits', 2, 4)]),
    # nothing is said for a while, or from the start
    (run([0, 1], ' ') + run([2, 3], 'walks') + run([4, 5], '') +
     run([6, 7], 'walks'), [('walks', 2, 4), ('walks', 6, 8)]),
    # unseen for a while, under one text
    (run([0, 1], 'walks') + run([2], 'sits', outside=1) +
     run([6, 7], 'walks'), [('walks', 0, 8)]),
    # a box without the attribute goes on
    (run([0, 1], 'walks') + run([2, 3], None) + run([4, 5], 'sits'),
     [('walks', 0, 4), ('sits', 4, 6)]),
    # in any order
    (run([4, 5], 'sits') + run([0, 1, 2, 3], 'walks'),
     [('walks', 0, 4), ('sits', 4, 6)]),
])
def test_a_text_that_changes_is_several_sentences(boxes, expected, root):
    dataset = cvat(root.parent, *boxes)
    assert [(r['sentence'], *r['gt_tube'].span)
            for r in records(dataset)] == expected
    assert [r['sample_id'] for r in records(dataset)] == [
        f'0.mp4_{k}' for k in range(len(expected))]
    for r in records(dataset):
        assert (r['gt_tube'].frame_ids >= r['gt_tube'].span[0]).all()


def test_an_attribute_of_the_track_itself(root):
    head = '<attribute name="sentence">walks</attribute>'
    dataset = cvat(root.parent, *run(range(3, 9), None), head=head)
    assert [(r['sentence'], *r['gt_tube'].span)
            for r in records(dataset)] == [('walks', 3, 9)]
    with pytest.raises(SchemaError, match='there is a sentence and no box'):
        cvat(root.parent, *run([3], 'walks', outside=1))
