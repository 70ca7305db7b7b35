# Copyright (c) costa_mm authors. All rights reserved.
import json
import pickle

import numpy as np
import pytest

from costa_mm.structures import Tube, dump_tubes, load_tubes


def example(**kwargs):
    options = dict(
        span=(3, 6),
        frame_ids=[3, 4, 5],
        boxes=[[0, 1, 2, 3], [.1, .2, 1 / 3, 1e-9], [5, 5, 9, 9]],
        qtype='interrogative',
        num_frames=20,
        fps=29.97,
        factors=dict(kind='shape', occluded=True))
    return Tube(**{**options, **kwargs})


def assert_same(a, b):
    assert (a.span, a.qtype, a.num_frames, a.fps, a.factors, a.segment) == (
        b.span, b.qtype, b.num_frames, b.fps, b.factors, b.segment)
    np.testing.assert_array_equal(a.frame_ids, b.frame_ids)
    np.testing.assert_array_equal(a.boxes, b.boxes)


def test_types_and_shapes():
    tube = example(span=(np.int64(3), np.int64(6)))
    assert tube.frame_ids.dtype == np.int64 and tube.frame_ids.shape == (3, )
    assert tube.boxes.dtype == np.float64 and tube.boxes.shape == (3, 4)
    assert all(type(i) is int for i in tube.span)


def test_empty_tube():
    tube = Tube(None)
    assert tube.boxes.shape == (0, 4) and len(tube.frame_ids) == 0
    assert_same(Tube.from_dict(tube.to_dict()), tube)


def test_round_trips():
    for tube in example(), example(segment=(np.int64(2), np.int64(12))):
        assert_same(
            Tube.from_dict(json.loads(json.dumps(tube.to_dict()))), tube)
        assert_same(pickle.loads(pickle.dumps(tube)), tube)


def test_entry_has_the_documented_form():
    entry = example().to_dict()
    assert entry['span'] == [3, 6] and entry['boxes']['5'] == [5, 5, 9, 9]
    assert list(entry) == [
        'span', 'boxes', 'qtype', 'num_frames', 'fps', 'factors'
    ]
    assert 'factors' not in example(factors=None).to_dict()
    assert example(segment=(2, 12)).to_dict()['segment'] == [2, 12]


def test_frames_are_sorted_as_numbers():
    tube = Tube.from_dict(
        dict(span=None, boxes={
            '10': [0, 0, 1, 1],
            '9': [0, 0, 2, 2]
        }))
    assert tube.frame_ids.tolist() == [9, 10]
    assert tube.boxes[:, 2].tolist() == [2, 1]
    assert (tube.qtype, tube.num_frames, tube.fps) == (None, None, None)


def test_tube_cannot_be_changed():
    with pytest.raises(AttributeError):
        example().span = (0, 1)


@pytest.mark.parametrize('wrong, text', [
    (dict(span=(5, 5)), 'span'),
    (dict(span=(6, 3)), 'span'),
    (dict(span=(-1, 3)), 'span'),
    (dict(segment=(4, 4)), 'segment'),
    (dict(frame_ids=[3, 4]), '2 frames but 3 boxes'),
    (dict(frame_ids=[3, 4, 4]), 'increasing'),
    (dict(frame_ids=[5, 4, 3]), 'increasing'),
    (dict(boxes=[[0, 0, 1, np.nan]] * 3), 'NaN'),
    (dict(boxes=[[0, 0, 1, np.inf]] * 3), 'NaN'),
    (dict(qtype='question'), 'question'),
])
def test_what_is_no_tube(wrong, text):
    with pytest.raises(ValueError, match=text):
        example(**wrong)


def test_files_round_trip(tmp_path):
    path = tmp_path / 'new' / 'tubes.json'
    tubes = dict(b=example(), a=Tube((0, 1)))
    dump_tubes(tubes, path)
    again = load_tubes(path)
    assert list(again) == ['b', 'a']
    for key, tube in tubes.items():
        assert_same(again[key], tube)


@pytest.mark.parametrize('text, message', [
    ('{', 'not a JSON file'),
    ('\xff\xfe', 'not a JSON file'),
    ('[]', 'not a list'),
    ('{"videos": []}', 'is an annotation file, .*convert .*--format tubes'),
    ('{"a": 3}', "entry 'a'.*int"),
    ('{"a": {"span": [0, 1]}}', "entry 'a'.*'boxes' is missing"),
    ('{"a": {"span": [0], "boxes": {}}}', "entry 'a'"),
    ('{"a": {"span": 7, "boxes": {}}}', "entry 'a'"),
    ('{"a": {"span": null, "boxes": []}}', "entry 'a'"),
    ('{"a": {"span": null, "boxes": {}, "segment": 7}}', "entry 'a'"),
    ('{"a": {"span": null, "boxes": {"x": [0, 0, 1, 1]}}}', "entry 'a'"),
    ('{"a": {"span": [0, 1e999], "boxes": {}}}', "entry 'a'"),
    ('{"a": {"span": null, "boxes": {"%s": [0, 0, 1, 1]}}}' % 10**30,
     "entry 'a'"),
    *(('{"a": {"span": null, "boxes": {}, "%s": %s}}' % (key, value),
       f"entry 'a'.*{key} is .*not a positive")
      for key, value in (('num_frames', '"600"'), ('num_frames', '0.5'),
                         ('num_frames', 'true'), ('fps', '0'),
                         ('fps', '[30]'), ('fps', 'Infinity'))),
    ('{"a": {"span": null, "boxes": {"1": [0, 0, 1]}}}', "entry 'a'"),
    ('{"a": {"span": null, "boxes": {"1": [0, 0, 1, "z"]}}}', "entry 'a'"),
    ('{"a": {"span": null, "boxes": {"1": null}}}', "entry 'a'"),
])
def test_files_that_are_wrong_name_file_and_entry(text, message, tmp_path):
    path = tmp_path / 'tubes.json'
    path.write_bytes(text.encode('latin-1'))
    with pytest.raises(ValueError, match=message) as e:
        load_tubes(path)
    assert 'tubes.json' in str(e.value)


def test_absent_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_tubes(tmp_path / 'absent.json')
