# Copyright (c) costa_mm authors. All rights reserved.
"""Maps of centres."""
import numpy as np
import pytest
import torch
from mmdet.models.utils import gaussian_radius as mmdet_radius
from mmdet.models.utils import gen_gaussian_target
from torch.testing import assert_close as close

from costa_mm.models.heads.center_maps import (CenterMaps, center_targets,
                                               gaussian_radius)


def test_gaussians_are_mmdets():
    boxes = torch.tensor([[[10.3, 8.6, 9., 5.], [1., 15.9, 2., 3.],
                           [11.5, 7., 23., 14.]]])
    found = center_targets(boxes, (16, 24))
    for t, (cx, cy, w, h) in enumerate(boxes[0].tolist()):
        radius = mmdet_radius((np.ceil(h), np.ceil(w)), 0.3)
        ours = gaussian_radius(boxes[0, t, 2:].ceil(), 0.3)
        assert float(ours) == pytest.approx(radius, rel=1e-5)
        wanted = gen_gaussian_target(
            torch.zeros(16, 24), (int(cx), int(cy)), int(radius))
        close(found['heatmap'][0, t], wanted)
        assert found['center'][0, t] == int(cy) * 24 + int(cx)
    close(found['offset'][0, 0], torch.tensor([0.3, 0.6]))


def test_a_channel_starts_as_bilinear_upsampling_of_itself():
    maps = CenterMaps(
        in_channels=2, outputs=dict(size=2), up_channels=(2, ))
    maps.init_weights()
    x = torch.rand(1, 2, 4, 5)
    wanted = torch.nn.functional.interpolate(
        x, scale_factor=2, mode='bilinear')
    close(maps.ups[0](x)[..., 1:-1, 1:-1], wanted[..., 1:-1, 1:-1])
    assert maps(torch.rand(1, 3, 2, 4, 5), torch.zeros(
        1, 4, 5, dtype=torch.bool))['size'].shape == (1, 3, 2, 8, 10)
