# Copyright (c) costa_mm authors. All rights reserved.
import pickle

import torch

from costa_mm.structures import Tube, TubeDataSample


def example():
    sample = TubeDataSample(
        metainfo=dict(sample_id='a', ori_shape=(36, 64), sentence='who?'))
    sample.gt_boxes = torch.zeros(3, 4)
    sample.gt_tube = Tube((0, 2), [0, 1], [[0, 0, 1, 1]] * 2)
    return sample


def test_fields_of_different_length_live_together():
    sample = example()
    sample.gt_span = torch.tensor([0, 1])
    sample.pred_spans = [(0, 2, .5)]
    assert sample.sample_id == 'a' and sample.get('qtype') is None
    assert 'gt_span' in sample and 'pred_tube' not in sample


def test_to_dict_is_what_metrics_read():
    entry = example().to_dict()
    assert entry['sample_id'] == 'a' and entry['sentence'] == 'who?'
    assert isinstance(entry['gt_tube'], Tube)


def test_truth_can_be_stripped():
    sample = example()
    for name in [k for k in sample.keys() if k.startswith('gt_')]:
        delattr(sample, name)
    assert sample.keys() == []
    assert sample.sample_id == 'a'


def test_moves_between_devices_and_processes():
    sample = example().to('cpu')
    again = pickle.loads(pickle.dumps(sample))
    assert again.gt_tube.span == (0, 2)
    assert again.gt_boxes.shape == (3, 4)


def test_new_leaves_the_original_alone():
    sample = example()
    other = sample.new()
    other.gt_boxes = torch.ones(1, 4)
    assert sample.gt_boxes.shape == (3, 4)
