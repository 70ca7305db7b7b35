# Copyright (c) costa_mm authors. All rights reserved.
import pytest
import torch
from tiny_model import C
from torch.testing import assert_close

from costa_mm.models.heads import AnchorBoxQuery, ReferencePointQuery
from costa_mm.models.layers import box_sine_embedding


def make(cls, **kwargs):
    torch.manual_seed(0)
    return cls(embed_dims=C, num_layers=3, **kwargs)


@pytest.mark.parametrize('cls,coords', [(AnchorBoxQuery, 4),
                                        (ReferencePointQuery, 2)])
def test_equation_5(cls, coords):
    query, frames = make(cls), torch.randn(2, 5, C)
    hidden, out = query.theta_s.layers
    place = torch.sigmoid(out(hidden(frames).relu()))
    assert place.shape == (2, 5, coords)
    assert_close(query.initial(frames), place)
    pos, sine = query.embed(place, frames, 0)
    assert_close(sine, box_sine_embedding(place, C)[..., :C])
    first, second = query.pos_mlps[0].layers
    assert_close(pos, second(first(box_sine_embedding(place, C)).relu()))


def test_sines_are_scaled_from_the_second_layer_on():
    query = make(AnchorBoxQuery)
    place, content = torch.rand(2, 5, 4), torch.randn(2, 5, C)
    _, plain = query.embed(place, content, 0)
    for layer in (1, 2):
        _, sine = query.embed(place, content, layer)
        scale = query.query_scales[layer - 1](content)
        assert_close(sine, plain * scale)


def test_anchor_step_by_hand():
    query = make(AnchorBoxQuery)
    anchor = torch.tensor([[[0.5, 0.25, 0., 1.]]])
    box = query.refine(torch.tensor([[[0., 0., 0., 0.]]]), anchor)
    # eps 1e-3 keeps the border finite: logit = log 1e-3
    low = 1e-3 / (1 + 1e-3)
    assert_close(box, torch.tensor([[[0.5, 0.25, low, 1 - low]]]))
    moved = query.refine(torch.tensor([[[1., -1., 0., 0.]]]), anchor)
    expected = torch.tensor([1., -1. + torch.tensor(1 / 3).log()]).sigmoid()
    assert_close(moved[0, 0, :2], expected)


def test_reference_point_moves_the_centre_only():
    query = make(ReferencePointQuery)
    point = torch.tensor([[[0.25, 0.5]]])
    box = query.refine(torch.tensor([[[0., 1., 2., 3.]]]), point)
    expected = torch.tensor([0.25, 0., 0., 0.])
    expected[1:] = torch.tensor([1., 2., 3.]).sigmoid()
    assert_close(box[0, 0], expected)


def test_next_reference():
    box = torch.rand(1, 2, 4, requires_grad=True) * 1
    anchor = make(AnchorBoxQuery).next_reference(box, torch.rand(1, 2, 4))
    assert torch.equal(anchor, box) and not anchor.requires_grad
    point = torch.rand(1, 2, 2)
    assert make(ReferencePointQuery).next_reference(box, point) is point


@pytest.mark.parametrize('cls,prior', [(AnchorBoxQuery, (.5, .4, .3, .2)),
                                       (ReferencePointQuery, (.5, .4))])
def test_prior_is_where_every_query_begins(cls, prior):
    query = make(cls, prior=prior)
    query.init_weights()
    place = query.initial(torch.randn(2, 3, C))
    assert_close(place, torch.tensor(prior).expand(2, 3, -1))


def test_a_prior_of_wrong_length_raises():
    with pytest.raises(ValueError, match='needs 4'):
        make(AnchorBoxQuery, prior=(.5, .5))
