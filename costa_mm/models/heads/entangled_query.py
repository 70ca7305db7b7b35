# Copyright (c) costa_mm authors. All rights reserved.
"""Event part of the entangled query: Eq. (4) of CoSTA and its labels.

Eq. (3) is ``labels_from_span`` in ``models/utils/spans.py``; the object part,
Eq. (5), is in ``object_queries.py``.
"""
from typing import Optional

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..layers import time_sine_embedding


def select_labels(true_labels: Tensor,
                  pred_labels: Tensor,
                  *,
                  beta: float,
                  draws: Optional[Tensor] = None,
                  per_frame: bool = False) -> Tensor:
    """The training strategy: labels from the truth with probability beta.

    Args:
        true_labels (Tensor): (B, T), bool.
        pred_labels (Tensor): (B, T), bool.
        beta (float): Probability in [0, 1] of taking the true ones.
        draws (Tensor, optional): One uniform number in [0, 1) per video,
            (B, ), drawn as a function of the sample; drawn here otherwise.
        per_frame (bool): Draw for every frame instead of every video.

    Returns:
        Tensor: (B, T), bool.
    """
    if per_frame:
        draws = torch.rand(true_labels.shape, device=true_labels.device)
    elif draws is None:
        draws = torch.rand(len(true_labels), 1, device=true_labels.device)
    else:
        draws = draws[:, None]
    return torch.where(draws < beta, true_labels, pred_labels)


class EventQuery(BaseModule):
    """Event part of the entangled query.

    Eq. (4): Tem_i = Emb(a_i) + PE(i) inside the interval, Emb(a_i) outside.

    Args:
        embed_dims (int): C.
    """

    def __init__(self, *, embed_dims: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(2, embed_dims)

    def init_weights(self) -> None:
        """Begin small: the random labels of an untrained temporal decoder
        would drown what the layers read from the memory.
        """
        super().init_weights()
        nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(self, labels: Tensor) -> Tensor:
        """Embed labels a_i (B, T), bool, to Tem (B, T, C)."""
        time = time_sine_embedding(
            labels.shape[1],
            self.embedding.embedding_dim,
            device=labels.device)
        return self.embedding(labels.long()) + time * labels[..., None]
