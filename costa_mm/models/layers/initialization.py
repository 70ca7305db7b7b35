# Copyright (c) costa_mm authors. All rights reserved.
"""Initial weights that several necks and heads share."""
from typing import Sequence

import torch
from mmdet.models.layers import inverse_sigmoid
from torch import nn


def xavier_matrices(module: nn.Module) -> None:
    """Xavier (uniform) for every parameter of two and more dimensions.

    As DETR starts its transformer; biases and norms stay as they are.
    """
    for param in module.parameters():
        if param.dim() > 1:
            nn.init.xavier_uniform_(param)


def prior_bias(bias: nn.Parameter, prior: Sequence[float]) -> None:
    """Let a sigmoid begin at a prior, wherever the parameter lies.

    A Runner initialises a model that is on its GPU already, so values are
    copied into the parameter and never put in its place.

    Args:
        bias (nn.Parameter): What is added before the sigmoid, (D, ).
        prior (Sequence[float]): D values in (0, 1).
    """
    with torch.no_grad():
        bias.copy_(inverse_sigmoid(torch.tensor(prior, dtype=bias.dtype)))
