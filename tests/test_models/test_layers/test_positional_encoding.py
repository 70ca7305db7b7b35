# Copyright (c) costa_mm authors. All rights reserved.
import math

import pytest
import torch
from mmdet.models.layers import inverse_sigmoid
from torch.testing import assert_close

from costa_mm.models.layers import (box_sine_embedding, grid_sine_embedding,
                                    time_sine_embedding)


def test_time_sine_by_hand():
    pe = time_sine_embedding(3, 4)
    expected = [[0, 1, 0, 1]]
    expected += [[math.sin(i), math.cos(i), math.sin(i / 100),
                  math.cos(i / 100)] for i in (1, 2)]
    assert_close(pe, torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize('name,key', [('stcat_functions', 'seq_sine_256'),
                                      ('tubedetr_functions', 'time_sine_256')
                                      ])
def test_time_sine_is_the_published_one(golden, name, key):
    table = golden(name)[key]
    # float32 arguments of up to 200 rad: the noise of the table itself
    assert_close(
        time_sine_embedding(len(table), 256), table, atol=3e-5, rtol=0)


def test_box_sine_is_the_published_one(golden):
    data = golden('stcat_functions')
    out = box_sine_embedding(data['sine_in'], 256)
    assert_close(out, data['sine_out_512'], atol=2e-5, rtol=1e-4)


def test_box_sine_order_is_y_x_w_h():
    point = box_sine_embedding(torch.tensor([0.25, 0.]), 8)
    # y = 0: sin 0, cos 0; x = 1/4: 2 pi / 4
    assert_close(point[:4], torch.tensor([0., 1., 0., 1.]))
    assert_close(point[4:6], torch.tensor([1., 0.]), atol=1e-6, rtol=0)
    box = box_sine_embedding(torch.tensor([0., 0., 0.25, 0.]), 8)
    assert_close(box[8:10], torch.tensor([1., 0.]), atol=1e-6, rtol=0)


def test_box_sine_keeps_leading_dimensions():
    boxes = torch.rand(3, 2, 5, 4)
    out = box_sine_embedding(boxes, 8)
    assert out.shape == (3, 2, 5, 16)
    assert_close(out[2, 1, 4], box_sine_embedding(boxes[2, 1, 4], 8))


def test_grid_sine_is_the_published_one(golden):
    data = golden('stcat_functions')
    out = grid_sine_embedding(data['pos2d_mask'], 256)
    assert_close(
        out.permute(0, 3, 1, 2), data['pos2d_out_256'], atol=2e-5, rtol=1e-4)


def test_grid_sine_is_independent_of_padding():
    mask = torch.zeros(1, 2, 3, dtype=torch.bool)
    padded = torch.ones(1, 4, 5, dtype=torch.bool)
    padded[:, :2, :3] = False
    assert_close(
        grid_sine_embedding(padded, 8)[:, :2, :3],
        grid_sine_embedding(mask, 8))


def test_inverse_sigmoid_is_the_published_one(golden):
    data = golden('stcat_functions')
    assert_close(
        inverse_sigmoid(data['invsig_in'], eps=1e-3), data['invsig_out'])


@pytest.mark.parametrize('call', [
    lambda: time_sine_embedding(3, 5),
    lambda: grid_sine_embedding(torch.zeros(1, 2, 2, dtype=torch.bool), 6),
    lambda: box_sine_embedding(torch.zeros(3, 4), 6),
    lambda: box_sine_embedding(torch.zeros(2, 3), 8),
])
def test_bad_shapes_raise(call):
    with pytest.raises(ValueError):
        call()
