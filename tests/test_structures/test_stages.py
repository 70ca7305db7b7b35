# Copyright (c) costa_mm authors. All rights reserved.
import torch

from costa_mm.structures import FusedMemory, TubeOutputs


def test_optional_parts_default_to_none():
    x = torch.zeros(1)
    assert FusedMemory(x, x, x, x, x).video_cls is None
    out = TubeOutputs(boxes=x, span_logits=x, frame_mask=x)
    assert (out.attendance, out.attendance_enc,
            out.time_attention) == (None, None, None)


def test_steps_are_replaced_by_name():
    x = torch.zeros(1)
    out = TubeOutputs(x, x, x)._replace(attendance=x + 1)
    assert out.attendance.item() == 1 and out.boxes is x
