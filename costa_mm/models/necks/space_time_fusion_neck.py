# Copyright (c) costa_mm authors. All rights reserved.
"""Space-time multi-modal fusion of CoSTA."""
from typing import Dict, Tuple

import torch
from torch import Tensor, nn

from costa_mm.registry import MODELS
from costa_mm.structures import FusedMemory, TextFeatures, VisualFeatures
from ..layers import frame_key_mask, time_sine_embedding
from .base_fusion_neck import BaseFusionNeck


@MODELS.register_module()
class SpaceTimeFusionNeck(BaseFusionNeck):
    """N rounds of spatial and temporal self-attention.

    In every round one spatial layer lets the tokens of a frame, that is its
    [CLS] token c_i, its h*w cells F_v and the L words F_l, attend to each
    other, and one temporal layer lets the T [CLS] tokens of a video do so.
    The words are repeated for every frame.  The paper has T learnable [CLS]
    tokens; T varies, so one embedding serves all frames and the temporal
    layers add the frame number's sine embedding.

    Args:
        num_layers (int): N.
        temporal_layers (bool): Without, c_i never sees another frame ("no
            ST-encoder" in Table 2, together with a 2D-only backbone).
        **kwargs: See :class:`BaseFusionNeck`.
    """

    def __init__(self,
                 *,
                 num_layers: int = 6,
                 temporal_layers: bool = True,
                 **kwargs) -> None:
        super().__init__(num_layers=num_layers, **kwargs)
        self.cls_token = nn.Parameter(torch.zeros(self.embed_dims))
        self.cls_pos = nn.Parameter(torch.zeros(self.embed_dims))
        self.temporal_layers = self.make_layers(
            num_layers if temporal_layers else 0)

    def init_weights(self) -> None:
        """Xavier for every matrix, as in DETR; normal for [CLS]."""
        super().init_weights()
        nn.init.normal_(self.cls_token, std=0.02)
        nn.init.normal_(self.cls_pos, std=0.02)

    def forward(self, visual: VisualFeatures,
                text: TextFeatures) -> FusedMemory:
        """Fuse.

        Args:
            visual (VisualFeatures): Features (B, T, C', h, w).
            text (TextFeatures): Tokens (B, L, C).

        Returns:
            FusedMemory: Memory (B, T, h*w + L, C) and c (B, T, C).
        """
        tokens, pos, mask = self.pre_fusion(visual, text)
        tokens, videos = self.forward_rounds(tokens, pos, mask,
                                             visual.frame_mask)
        return FusedMemory(
            memory=self.locate(tokens[:, :, 1:], pos[:, 1:]),
            pos=pos[:, 1:],
            mask=mask[:, 1:],
            cls=tokens[:, :, 0],
            frame_mask=visual.frame_mask,
            cell_mask=visual.cell_mask,
            extras=self.video_extras(videos))

    def pre_fusion(self, visual: VisualFeatures,
                   text: TextFeatures) -> Tuple[Tensor, Tensor, Tensor]:
        """Line tokens up as [CLS], cells row by row, words.

        Returns:
            tuple[Tensor, Tensor, Tensor]: Tokens (B, T, S, C) with
            S = 1 + h*w + L, their positions (B, S, C), their mask (B, S).
        """
        tokens, pos, mask = super().pre_fusion(visual, text)
        num, length = tokens.shape[:2]
        cls = self.cls_token.expand(num, length, 1, -1).to(tokens.dtype)
        return (torch.cat((cls, tokens), dim=2),
                torch.cat((self.cls_pos.expand(num, 1, -1), pos), dim=1),
                torch.cat((mask.new_zeros(num, 1), mask), dim=1))

    def video_tokens(self, num: int) -> Tensor:
        """Tokens that a video has beside its frames' [CLS], (B, V, C).

        They lead the sequence of the temporal layers.  CoSTA has none.
        """
        return self.cls_token.new_zeros(num, 0, self.embed_dims)

    def video_extras(self, videos: Tensor) -> Dict[str, Tensor]:
        """What of the videos' tokens (B, V, C) a head of its own reads."""
        return {}

    def forward_rounds(self, tokens: Tensor, pos: Tensor, mask: Tensor,
                       frame_mask: Tensor) -> Tuple[Tensor, Tensor]:
        """N rounds.

        Args:
            tokens (Tensor): (B, T, S, C), [CLS] first.
            pos (Tensor): (B, S, C).
            mask (Tensor): (B, S), bool.
            frame_mask (Tensor): (B, T), bool.

        Returns:
            tuple[Tensor, Tensor]: Tokens (B, T, S, C) and tokens of the
            videos (B, V, C).
        """
        num, length = tokens.shape[:2]
        videos = self.video_tokens(num).to(tokens.dtype)
        count = videos.shape[1]
        time = time_sine_embedding(
            count + length, tokens.shape[-1], device=tokens.device)
        time_mask = torch.cat((frame_mask.new_zeros(num, count), frame_mask),
                              dim=1)
        pos = pos[:, None].expand(-1, length, -1, -1).flatten(0, 1)
        mask = frame_key_mask(mask, length)
        x = tokens.flatten(0, 1)  # (B*T, S, C)
        for i, spatial in enumerate(self.spatial_layers):
            x = self.run_layer(spatial, x, pos, mask)
            if not self.temporal_layers:
                continue
            cls = x[:, 0].unflatten(0, (num, length))  # (B, T, C)
            both = self.run_layer(self.temporal_layers[i],
                                  torch.cat((videos, cls), dim=1), time,
                                  time_mask)
            videos, cls = both[:, :count], both[:, count:]
            x = torch.cat((cls.flatten(0, 1)[:, None], x[:, 1:]), dim=1)
        return x.unflatten(0, (num, length)), videos
