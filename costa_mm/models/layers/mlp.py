# Copyright (c) costa_mm authors. All rights reserved.
"""Prediction MLP with dropout."""
import torch.nn.functional as F
from mmdet.models.layers.transformer.utils import MLP
from torch import Tensor, nn


class DropoutMLP(MLP):
    """DETR's MLP with dropout after every layer, the last one included.

    So the logits themselves are dropped in training, as TubeDETR and STCAT
    have it.

    Args:
        input_dim (int): Channels in.
        hidden_dim (int): Channels between layers.
        output_dim (int): Channels out.
        num_layers (int): Number of linear layers.
        dropout (float): Probability.
    """

    def __init__(self, input_dim: int, hidden_dim: int, output_dim: int,
                 num_layers: int, dropout: float) -> None:
        super().__init__(input_dim, hidden_dim, output_dim, num_layers)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(..., input_dim) to (..., output_dim)."""
        for layer in self.layers[:-1]:
            x = self.dropout(F.relu(layer(x)))
        return self.dropout(self.layers[-1](x))
