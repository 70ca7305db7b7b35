# Copyright (c) costa_mm authors. All rights reserved.
"""Subjects and labels of a target, from a file to the packed sample."""
import json

import numpy as np
import pytest

from costa_mm.datasets import LoadTargetAttributes, PackSTVGInputs

TABLE = {
    '7': dict(subject='man', appearance_labels=[2, 9], motion_labels=[]),
    'v.mp4': dict(verb_index_list=[3], adj_index_list=[0]),
    'v': dict(subject=None),
}


@pytest.fixture
def ann_file(tmp_path):
    path = tmp_path / 'attributes.json'
    path.write_text(json.dumps(TABLE))
    return str(path)


def results(**kwargs):
    return dict(
        sample_id='0', imgs=np.zeros((2, 4, 4, 3), np.uint8)) | kwargs


def packed(ann_file, **kwargs):
    sample = LoadTargetAttributes(ann_file=ann_file).transform(
        results(**kwargs))
    return PackSTVGInputs().transform(sample)['data_samples']


def test_what_is_known_is_packed(ann_file):
    sample = packed(ann_file, sample_id='7')
    assert sample.metainfo['subject'] == 'man'
    assert sample.gt_appearance_labels.tolist() == [2, 9]
    assert sample.gt_motion_labels.tolist() == []
    assert sample.gt_motion_labels.dtype == sample.gt_appearance_labels.dtype


def test_published_names_and_file_names(ann_file):
    sample = packed(ann_file, video_path='/x/v.mp4')
    assert sample.gt_motion_labels.tolist() == [3]
    assert sample.gt_appearance_labels.tolist() == [0]
    assert 'subject' not in sample.metainfo


@pytest.mark.parametrize('names', [dict(), dict(video_id='v')])
def test_what_is_not_known_stays_away(ann_file, names):
    sample = packed(ann_file, **names)
    for key in ('subject', 'gt_appearance_labels', 'gt_motion_labels'):
        assert key not in sample


def test_an_unknown_sample_is_refused_where_wished(ann_file):
    load = LoadTargetAttributes(ann_file=ann_file, required=True)
    with pytest.raises(ValueError, match='attributes.json names neither'):
        load.transform(results())


@pytest.mark.parametrize('labels', ['3', [1.5], [None], {'a': 1}])
def test_labels_that_are_no_numbers(tmp_path, labels):
    path = tmp_path / 'attributes.json'
    path.write_text(json.dumps({'0': dict(motion_labels=labels)}))
    load = LoadTargetAttributes(ann_file=str(path))
    with pytest.raises(ValueError, match="motion_labels of '0'"):
        load.transform(results())


def test_bad_files(tmp_path):
    with pytest.raises(FileNotFoundError, match='leave LoadTargetAttributes'):
        LoadTargetAttributes(ann_file=str(tmp_path / 'none.json'))
    path = tmp_path / 'list.json'
    path.write_text('[1]')
    with pytest.raises(ValueError, match='list.json: expected an object'):
        LoadTargetAttributes(ann_file=str(path))
