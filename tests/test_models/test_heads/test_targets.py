# Copyright (c) costa_mm authors. All rights reserved.
import pytest
import torch
from tiny_model import make_batch, make_sample
from torch.testing import assert_close

from costa_mm.models.heads import collect_targets


def mask(*durations):
    return torch.arange(max(durations)) >= torch.tensor(durations)[:, None]


def test_boxes_are_normalised_by_the_unpadded_frame():
    samples = make_batch()['data_samples']
    targets = collect_targets(samples, mask(5, 3))
    assert targets.boxes.shape == (2, 5, 4)
    # (4, 6, 20, 25) of 32 x 64 pixels, first frame of the event
    expected = torch.tensor([12 / 64, 15.5 / 32, 16 / 64, 19 / 32])
    assert_close(targets.boxes[0, 1], expected)
    assert targets.has_box.int().tolist() == [[0, 1, 1, 1, 0],
                                              [1, 1, 0, 0, 0]]
    assert torch.equal(targets.in_event, targets.has_box)
    assert targets.span.tolist() == [[1, 3], [0, 1]]
    assert_close(targets.draws, torch.tensor([0.25, 0.25]))


def test_no_true_frame_in_the_clip():
    sample = make_sample(0, 4, (32, 32), None, 'a ball')
    targets = collect_targets([sample], mask(4))
    assert not targets.has_span.any() and not targets.has_box.any()
    assert not targets.in_event.any()


def test_an_event_frame_may_lack_a_box():
    sample = make_sample(0, 4, (32, 32), (1, 2), 'a ball')
    sample.gt_box_mask[2] = False
    targets = collect_targets([sample], mask(4))
    assert targets.in_event.int().tolist() == [[0, 1, 1, 0]]
    assert targets.has_box.int().tolist() == [[0, 1, 0, 0]]


def test_without_a_draw_there_are_none():
    sample = make_sample(0, 4, (32, 32), (1, 2), 'a ball')
    del sample.draw
    assert collect_targets([sample], mask(4)).draws is None


def test_samples_are_not_changed():
    sample = make_sample(0, 4, (32, 32), (1, 2), 'a ball')
    before = sample.gt_boxes.clone()
    collect_targets([sample], mask(6))
    assert torch.equal(sample.gt_boxes, before)


def test_missing_ground_truth_names_the_sample():
    sample = make_sample(3, 4, (32, 32), (1, 2), 'a ball')
    del sample.gt_boxes
    with pytest.raises(ValueError, match="'s3'.*LoadTubeAnnotations"):
        collect_targets([sample], mask(4))
