# Copyright (c) costa_mm authors. All rights reserved.
"""Tensors that go to a device without waiting for it."""
from typing import Sequence

import torch
from torch import Tensor


def host_index(values: Sequence[int], device: torch.device) -> Tensor:
    """An index that the host knows, on a device, (N, ), int64.

    Indexing a GPU tensor by a list, or making a tensor there from one, waits
    until the device has done all it was given before.

    Args:
        values (Sequence[int]): The index.
        device (torch.device): Where it is used.
    """
    return torch.tensor(values).to(device, non_blocking=True)


def inverse_order(order: Sequence[int]) -> Sequence[int]:
    """Where each number 0, 1, ... stands in ``order``, a permutation."""
    return sorted(range(len(order)), key=order.__getitem__)
