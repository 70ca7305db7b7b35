# Copyright (c) costa_mm authors. All rights reserved.
import os

import numpy as np
import pytest

from costa_mm.apis.inputs import list_videos
from costa_mm.datasets.annotation_files import VIDEO_SUFFIXES, FileFolder
from costa_mm.datasets.fields import as_boxes, as_int, xywh_to_xyxy
from costa_mm.datasets.problems import Problems
from costa_mm.datasets.records import clean_boxes


def test_clean_boxes_by_hand():
    boxes = xywh_to_xyxy(
        as_boxes([[0, 0, 5, 5], [-40, 0, -27, -47], [95, 60, 50, 50],
                  [-10, -10, 5, 5], [-10, -10, 15, 20], [3, 3, 0, 2]]))
    out, usable = clean_boxes(boxes, 100, 64)
    assert usable.tolist() == [True, False, True, False, True, False]
    assert out[2].tolist() == [95, 60, 100, 64]
    assert out[4].tolist() == [0, 0, 5, 10]
    _, usable = clean_boxes(boxes, None, None)
    assert usable.tolist() == [True, False, True, True, True, False]
    assert boxes[2].tolist() == [95, 60, 145, 110]  # the argument is kept


def test_empty_boxes():
    out, usable = clean_boxes(as_boxes([]), 10, 10)
    assert out.shape == (0, 4) and usable.shape == (0, )


@pytest.mark.parametrize('value', [True, '3', 3.2, -1, None, float('inf'),
                                   10**400, 2**40])
def test_as_int_refuses(value):
    with pytest.raises(ValueError):
        as_int(value)


def test_as_int_takes_whole_floats():
    assert as_int(3.0) == 3 and isinstance(as_int(3.0), int)


@pytest.mark.parametrize('suffix', VIDEO_SUFFIXES)
def test_videos_of_all_suffixes_are_found(suffix, tmp_path):
    (tmp_path / 'part1').mkdir()
    path = tmp_path / 'part1' / f'a{suffix.upper()}'
    path.write_text('')
    assert FileFolder(str(tmp_path)).find(f'a{suffix}') == str(path)
    assert list_videos(str(path.parent)) == [str(path)]


def test_file_folder(tmp_path):
    for name in ('1/a.mp4', '2/b.mkv', '1/c.mp4', '2/c.mp4', 'd.txt',
                 'x.y.mp4'):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text('')
    os.symlink(tmp_path, tmp_path / '1' / 'loop')
    folder = FileFolder(str(tmp_path))
    assert folder.find('a.mp4') == folder.find('a')
    assert folder.find('a').endswith('1/a.mp4')
    assert folder.find('b.mp4').endswith('2/b.mkv')  # another suffix
    assert folder.find('2/c.mp4').endswith('2/c.mp4')
    assert folder.find('c.mp4') is None  # two of them: no guessing
    assert folder.find('d.txt') is None or folder.find('d.txt').endswith('txt')
    assert folder.find('x.y').endswith('x.y.mp4')
    assert folder.find('nothing') is None


@pytest.mark.parametrize('files, names', [
    # the path decides: one video named, another one absent
    ('b/1.mp4', {'a/1.mp4': None, 'b/1.mp4': 'b/1.mp4'}),
    ('1.mp4', {'a/1.mp4': None, '1.mp4': '1.mp4'}),
    ('b/1.mp4', {'1.mp4': None, 'b/1.mp4': 'b/1.mp4'}),
    ('b/1.mp4', {'a/1.mp4': None, './b/1': 'b/1.mp4'}),
    ('b/1.mp4', {'a/1.mp4': None, 'c/1.mp4': None}),  # none is better
    ('b/1.mp4', {'/old/1.mp4': None, 'b/1.mp4': 'b/1.mp4'}),
    ('7/1.mp4', {'1.mp4': '7/1.mp4', 'a/1.mp4': None}),
    # suffixes tell two videos apart as well
    ('1.mp4', {'1.mkv': None, '1.mp4': '1.mp4'}),
    ('1.mp4', {'1.mkv': None, '1.avi': None}),
    ('7/1.mp4', {'1.mkv': None, '1.mp4': '7/1.mp4'}),
    # a video repacked in its place goes before one in another folder
    ('a/1.mkv b/1.mp4', {'a/1.mp4': 'a/1.mkv'}),
    ('a/1.mkv b/1.mp4', {'a/1.mp4': 'a/1.mkv', 'b/1.mp4': 'b/1.mp4'}),
    # nobody else wants the file, or it is one name twice
    ('b/1.mp4', {'a/1.mp4': 'b/1.mp4'}),
    ('b/1.mp4 2.mp4', {'a/1.mkv': 'b/1.mp4', 'x/2.mp4': '2.mp4'}),
    ('7/1.mp4', {'1.mp4': '7/1.mp4', '1': '7/1.mp4'}),
    ('a/1.mp4', {'a/1.mp4': 'a/1.mp4', 'b/../a/1.mp4': 'a/1.mp4',
                 'a/1': 'a/1.mp4'}),
    # two files fit
    ('a/1.mp4 b/1.mp4', {'1.mp4': 2, 'c/1.mp4': 2, 'a/1.mp4': 'a/1.mp4'}),
])
def test_a_file_belongs_to_the_name_that_says_where_it_is(
        files, names, tmp_path):
    for name in (*files.split(), 'other/x.mp4'):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text('')
    folder = FileFolder(str(tmp_path))
    found = folder.locate([*names, 'x.mp4'])
    assert {
        name: len(paths) if len(paths) > 1 else None if not paths else
        os.path.relpath(paths[0], tmp_path)
        for name, paths in found.items()
    } == dict(names, **{'x.mp4': 'other/x.mp4'})


def test_problems_are_counted_with_examples():
    problems = Problems()
    for i in range(4):
        problems.add('skipped', 'missing video', f'v{i}')
    problems.add('skipped', 'no box', 'w')
    assert len(problems) == 5
    assert problems.summary(2).splitlines() == [
        '  4 x missing video: v0, v1, ...', '  1 x no box: w'
    ]
    assert problems.to_dict()['missing video'] == ['v0', 'v1', 'v2', 'v3']


def test_boxes_are_float64():
    assert as_boxes([[1, 2, 3, 4]]).dtype == np.float64
