# Copyright (c) costa_mm authors. All rights reserved.
import pytest
import torch

from costa_mm.structures import (FusedMemory, TextFeatures, TubeOutputs,
                                 VideoBatch, VisualFeatures)


@pytest.mark.parametrize('stage, fields', [(VideoBatch, 4),
                                           (VisualFeatures, 3),
                                           (TextFeatures, 2),
                                           (FusedMemory, 5), (TubeOutputs, 3)])
def test_every_stage_carries_what_a_method_adds(stage, fields):
    x = torch.zeros(1)
    assert stage(*[x] * fields).extras == {}
    assert stage(*[x] * fields, extras=dict(own=x)).extras['own'] is x


def test_outputs_are_found_by_name_wherever_they_lie():
    x = torch.zeros(1)
    out = TubeOutputs(x, x + 1, x, extras=dict(own=x + 2))
    assert out.named('span_logits').item() == 1
    assert out.named('own').item() == 2
    assert out.named('attendance') is None and out.named('other') is None


def test_steps_are_replaced_by_name():
    x = torch.zeros(1)
    out = TubeOutputs(x, x, x)._replace(attendance=x + 1)
    assert out.attendance.item() == 1 and out.boxes is x
