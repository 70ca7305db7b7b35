# Copyright (c) costa_mm authors. All rights reserved.
"""Random state and gradients."""
import io
import random
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from costa_mm.engine.loops import _ResumableLoop
from costa_mm.engine.run_state import (capture_gradients, capture_random_state,
                                       preserved_random_state,
                                       restore_gradients, restore_random_state)


def draw():
    return (random.random(), random.gauss(0, 1), np.random.rand(3).tolist(),
            np.random.normal(), torch.rand(3).tolist())


def through_a_file(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def test_random_state_survives_a_file():
    draw()  # leaves half of a gaussian pair behind
    state = through_a_file(capture_random_state())
    first = draw()
    assert draw() != first
    restore_random_state(state)
    assert draw() == first


def test_draws_inside_leave_no_trace():
    state = capture_random_state()
    expected = draw()
    restore_random_state(state)
    with preserved_random_state():
        draw()
    assert draw() == expected


def test_gradients_survive_a_file():
    model = nn.Linear(2, 2)
    model(torch.ones(1, 2)).sum().backward()
    model.bias.grad = None
    gradients = through_a_file(capture_gradients(model))
    other = nn.Linear(2, 2)
    restore_gradients(other, gradients)
    assert torch.equal(other.weight.grad, model.weight.grad)
    assert other.bias.grad is None


def test_gradients_do_not_depend_on_the_wrapper():
    model, other = nn.Linear(2, 1), nn.Linear(2, 1)
    nn.DataParallel(model)(torch.ones(1, 2)).sum().backward()
    gradients = capture_gradients(nn.DataParallel(model))
    restore_gradients(other, gradients)
    assert torch.equal(other.weight.grad, model.weight.grad)
    assert capture_gradients(model).keys() == gradients.keys()


def test_processes_draw_apart_wherever_the_run_goes_on():
    """With other processes than before there is no state to put back."""
    drawn = []
    for rank, world, done in [(0, 1, 12), (0, 2, 12), (1, 2, 12), (0, 2, 0),
                              (1, 2, 0), (0, 2, 24)]:
        torch.manual_seed(3), np.random.seed(3), random.seed(3)
        runner = SimpleNamespace(
            world_size=world, rank=rank, seed=3, call_hook=lambda name: None)
        loop = SimpleNamespace(runner=runner, _iter=done)
        _ResumableLoop._begin(loop)
        drawn.append(draw())
    fresh = drawn[3]
    torch.manual_seed(3), np.random.seed(3), random.seed(3)
    assert draw() == fresh  # as before: that of the seed itself
    assert drawn[0] == drawn[1]  # the first process, however many there are
    assert all(a[i] != b[i] for a, b in combinations(drawn[1:], 2)
               for i in range(len(a)))
