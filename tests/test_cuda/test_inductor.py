# Copyright (c) costa_mm authors. All rights reserved.
"""Inductor on a GPU; minutes, so tools/gpu_suite.sh runs it last."""
import numpy as np
import pytest
import torch
from tiny_model import build, grounder_cfg, make_batch


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_compiled_parts_predict_the_same():
    torch._dynamo.reset()
    plain = build(grounder_cfg()).to('cuda')
    model = build(grounder_cfg(compile_cfg=dict())).to('cuda')
    with torch.no_grad():
        pairs = zip(plain.test_step(make_batch()),
                    model.test_step(make_batch()))
    for a, b in pairs:
        np.testing.assert_allclose(a.pred_start, b.pred_start, atol=1e-3)
        np.testing.assert_allclose(a.pred_boxes, b.pred_boxes, rtol=1e-2,
                                   atol=0.1)
    torch._dynamo.reset()
