# Copyright (c) costa_mm authors. All rights reserved.
"""Bytes that live tensors take, on any device."""
import weakref
from typing import Iterable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveMemory(TorchDispatchMode):
    """Follows every storage that an operation makes, until it is freed.

    It counts what ``torch.cuda.max_memory_allocated`` counts, without
    rounding and without what a kernel uses inside.  The resident memory of a
    process also holds what its allocator keeps for later.

    Args:
        tensors (Iterable[Tensor]): What is there at the beginning.

    Attributes:
        live (int): Bytes at present.
        peak (int): Most bytes at once.
    """

    def __init__(self, tensors: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._seen = set()
        for tensor in tensors:
            self._follow(tensor)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._follow(leaf)
        return out

    def _follow(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._seen or tensor.device.type == 'meta':
            return
        size = storage.nbytes()
        self._seen.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.live -= size


def state_of(*owners) -> Iterable[Tensor]:
    """Parameters, gradients and buffers of modules, states of optimizers."""
    for owner in owners:
        if isinstance(owner, torch.nn.Module):
            for param in owner.parameters():
                yield param.data
                if param.grad is not None:
                    yield param.grad
            yield from owner.buffers()
        else:
            for state in owner.state.values():
                yield from (v for v in state.values() if torch.is_tensor(v))
