# Copyright (c) costa_mm authors. All rights reserved.
"""Initial weights that several necks and heads share."""
from torch import nn


def xavier_matrices(module: nn.Module) -> None:
    """Xavier (uniform) for every parameter of two and more dimensions.

    As DETR starts its transformer; biases and norms stay as they are.
    """
    for param in module.parameters():
        if param.dim() > 1:
            nn.init.xavier_uniform_(param)
