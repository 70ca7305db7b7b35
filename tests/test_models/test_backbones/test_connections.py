# Copyright (c) costa_mm authors. All rights reserved.
import pytest
import torch
from torch.testing import assert_close

from costa_mm.models import (ConcatConnection, HadamardConnection,
                             NormSumConnection)


def pair(channels=4):
    torch.manual_seed(0)
    return torch.randn(2, channels, 3, 2, 2), torch.randn(
        2, channels, 3, 2, 2)


def test_norm_sum_normalises_channels_by_position():
    # each pathway (1, 3) -> (-1, 1) at the only position, then the sum
    join = NormSumConnection(channels=2)
    one = torch.tensor([1., 3.]).view(1, 2, 1, 1, 1)
    other = torch.tensor([10., -10.]).view(1, 2, 1, 1, 1)
    assert_close(
        join(one, other).flatten(), torch.tensor([0., 0.]), atol=1e-4, rtol=0)
    join.norm_2d.weight.data *= 3  # affine, and each pathway has its own
    assert_close(
        join(one, other).flatten(), torch.tensor([2., -2.]), atol=1e-4,
        rtol=0)


def test_norm_sum_of_a_position_ignores_all_others():
    join, (one, other) = NormSumConnection(channels=4), pair()
    before = join(one, other)
    one[:, :, 1:] = 100.
    other[:, :, :, 1] = -50.
    after = join(one, other)
    assert_close(after[:, :, 0, 0], before[:, :, 0, 0])


def test_hadamard():
    one, other = pair()
    assert torch.equal(HadamardConnection(channels=4)(one, other),
                       one * other)


def test_concat_begins_as_the_sum():
    join = ConcatConnection(channels=4)
    join.init_weights()
    one, other = pair()
    assert_close(join(one, other), one + other)


def test_concat():
    join, (one, other) = ConcatConnection(channels=4), pair()
    weight = join.reduce.weight.flatten(1)  # (4, 8)
    both = torch.cat((one, other), 1).movedim(1, -1)
    expected = both @ weight.T + join.reduce.bias
    assert_close(join(one, other).movedim(1, -1), expected)


@pytest.mark.parametrize(
    'cls', [NormSumConnection, HadamardConnection, ConcatConnection])
def test_shape_is_kept(cls):
    one, other = pair()
    assert cls(channels=4)(one, other).shape == one.shape
