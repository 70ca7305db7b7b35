# Copyright (c) costa_mm authors. All rights reserved.
"""Object part of the entangled query, Eq. (5) of CoSTA, in two variants.

A variant says where a query looks first (``initial``), how this place is
embedded in every layer (``embed``), what box a layer's output means
(``refine``) and where the next layer looks (``next_reference``).
"""
from typing import Optional, Sequence, Tuple

import torch
from mmdet.models.layers import inverse_sigmoid
from mmdet.models.layers.transformer.utils import MLP
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from costa_mm.registry import MODELS
from ..layers import (ANCHOR_EPS, box_sine_embedding, prior_bias,
                      refine_anchor, xavier_matrices)


class _PositionalQuery(BaseModule):
    """What both variants share: theta_s and the embedding of places.

    Every layer embeds its reference by weights of its own.  A variant says
    how many coordinates D a place has (``num_coords``).

    Args:
        embed_dims (int): C.
        num_layers (int): Layers of the spatial decoder.
        prior (Sequence[float], optional): D normalised coordinates where
            every query looks before training; spread at random by default.

    Raises:
        ValueError: If the prior has another number of coordinates.
    """

    num_coords: int

    def __init__(self,
                 *,
                 embed_dims: int,
                 num_layers: int,
                 prior: Optional[Sequence[float]] = None) -> None:
        super().__init__()
        num_coords = self.num_coords
        if prior is not None and len(prior) != num_coords:
            raise ValueError(f'prior needs {num_coords} numbers: {prior}')
        self.embed_dims = embed_dims
        self.prior = prior
        self.theta_s = MLP(embed_dims, embed_dims, num_coords, 2)
        # p_i = MLP(SE(.)): one sine of C / 2 channels per coordinate
        self.pos_mlps = ModuleList(
            MLP(num_coords * embed_dims // 2, embed_dims, embed_dims, 2)
            for _ in range(num_layers))
        # what the first layer would scale by has not seen the memory yet
        self.query_scales = ModuleList(
            MLP(embed_dims, embed_dims, embed_dims, 2)
            for _ in range(num_layers - 1))

    def init_weights(self) -> None:
        """Begin as STCAT's (Xavier), looking at the prior if there is one."""
        super().init_weights()
        xavier_matrices(self)
        if self.prior is not None:
            last = self.theta_s.layers[-1]
            nn.init.zeros_(last.weight)
            prior_bias(last.bias, self.prior)

    def initial(self, cls: Tensor) -> Tensor:
        """sigma(theta_s(c_i)): [CLS] (B, T, C) to normalised (B, T, D)."""
        return self.theta_s(cls).float().sigmoid()

    def embed(self, reference: Tensor, content: Tensor,
              layer: int) -> Tuple[Tensor, Tensor]:
        """Positional query p and its sine part, both (B, T, C).

        The sine part, of the centre only, is scaled by the content from the
        second layer on (Conditional DETR).
        """
        sine = box_sine_embedding(reference, self.embed_dims)
        sine = sine.to(content.dtype)
        centre = sine[..., :self.embed_dims]
        if layer > 0:
            centre = centre * self.query_scales[layer - 1](content)
        return self.pos_mlps[layer](sine), centre


@MODELS.register_module()
class AnchorBoxQuery(_PositionalQuery):
    """4D anchors (DAB-DETR), refined by every layer; the paper's choice.

    A place is a normalised (cx, cy, w, h).

    Args:
        embed_dims (int): C.
        num_layers (int): Layers of the spatial decoder.
        prior (Sequence[float], optional): All anchors before training.
    """

    num_coords = 4

    def refine(self, delta: Tensor, reference: Tensor) -> Tensor:
        """box = sigmoid(delta + logit(anchor)), all (B, T, 4)."""
        return refine_anchor(delta, reference)

    def next_reference(self, box: Tensor, reference: Tensor) -> Tensor:
        """The refined box, detached, is the next layer's anchor."""
        return box.detach()


@MODELS.register_module()
class ReferencePointQuery(_PositionalQuery):
    """2D reference points (Conditional DETR), the same for all layers.

    A place is a normalised (x, y).

    Args:
        embed_dims (int): C.
        num_layers (int): Layers of the spatial decoder.
        prior (Sequence[float], optional): All points before training.
    """

    num_coords = 2

    def refine(self, delta: Tensor, reference: Tensor) -> Tensor:
        """Centre relative to the point: (B, T, 4), (B, T, 2) to (B, T, 4)."""
        logit = inverse_sigmoid(reference, eps=ANCHOR_EPS)
        delta = delta.float()
        return torch.cat((delta[..., :2] + logit, delta[..., 2:]),
                         dim=-1).sigmoid()

    def next_reference(self, box: Tensor, reference: Tensor) -> Tensor:
        """The point stays."""
        return reference
