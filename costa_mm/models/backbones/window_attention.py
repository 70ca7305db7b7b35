# Copyright (c) costa_mm authors. All rights reserved.
"""Window attention of Video Swin without all weights in memory at once."""
from typing import Optional

import torch
from mmaction.models.backbones.swin import WindowAttention3D
from torch import Tensor, nn

# windows at a time: their weights and masks take tens of megabytes, those of
# a whole video take gigabytes
CHUNK = 32


class ChunkedWindowAttention(WindowAttention3D):
    """mmaction2's window attention, a few windows at a time."""

    def forward(self, x: Tensor, mask: Optional[Tensor] = None) -> Tensor:
        """Attend within windows.

        Args:
            x (Tensor): Windows, (W, N, C).
            mask (Tensor, optional): What is added to scores, for each of the
                first windows in turn, (W', N, N) with W a multiple of W'.

        Returns:
            Tensor: (W, N, C).
        """
        num, length = x.shape[:2]
        query, key, value = self.qkv(x).unflatten(
            -1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        query = query * self.scale
        index = self.relative_position_index[:length, :length].flatten()
        bias = self.relative_position_bias_table[index]
        bias = bias.view(length, length, -1).permute(2, 0, 1)[None]
        bias = bias.to(query.dtype)  # (1, heads, N, N)
        outs = []
        for first in range(0, num, CHUNK):
            part = slice(first, min(first + CHUNK, num))
            added = bias
            if mask is not None:
                rows = torch.arange(
                    part.start, part.stop, device=x.device) % len(mask)
                added = bias + mask[rows, None].to(bias.dtype)
            # scaled_dot_product_attention takes a coarser exp on the CPU,
            # which twelve layers make visible
            scores = query[part] @ key[part].transpose(-1, -2) + added
            outs.append(self.attn_drop(scores.softmax(-1)) @ value[part])
        out = torch.cat(outs).transpose(1, 2).flatten(2)  # (W, N, C)
        return self.proj_drop(self.proj(out))


def chunk_window_attention(swin: nn.Module) -> int:
    """Change every window attention of a Video Swin, in place.

    Args:
        swin (nn.Module): mmaction2's ``SwinTransformer3D``.

    Returns:
        int: How many there are.
    """
    found = [m for m in swin.modules() if type(m) is WindowAttention3D]
    for module in found:
        module.__class__ = ChunkedWindowAttention
    return len(found)
