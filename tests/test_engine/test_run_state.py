# Copyright (c) costa_mm authors. All rights reserved.
"""Random state and gradients."""
import io
import random

import numpy as np
import torch
from torch import nn

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
