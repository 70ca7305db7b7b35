# Copyright (c) costa_mm authors. All rights reserved.
"""Golden tubes of the published evaluators, and tubes made by hand."""
import json

import numpy as np
import pytest
from golden_tubes import DATA, golden_tubes

from costa_mm.structures import Tube


@pytest.fixture(scope='session')
def golden():
    """Predictions, ground truth and results of the evaluators."""
    with open(DATA / 'eval_results.json', encoding='utf-8') as f:
        results = json.load(f)
    return (*golden_tubes(), results)


@pytest.fixture
def make_tube():
    """A tube with one box on every frame of the video."""

    def make(span, box=(0, 0, 10, 10), num=20, **kwargs):
        return Tube(
            span,
            np.arange(num),
            np.tile(np.array(box, float), (num, 1)),
            num_frames=num,
            **kwargs)

    return make
