# Copyright (c) costa_mm authors. All rights reserved.
"""CUDA tensors without numbers, on a machine without CUDA.

PyTorch's fake tensors have a device, a shape and a dtype.  Operations on them
check what real ones would check, and a dispatch mode sees every operation, so
that those are found for which a host would wait.  Out of reach: the backward
pass, and what runs on numbers after they came to the host.
"""
import ctypes
import os
import traceback
from collections import Counter
from contextlib import contextmanager, nullcontext
from typing import Iterator, List, Tuple
from unittest import mock

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

DEVICE = torch.device('cuda:0')
# numbers of c10::DeviceType
_CUDA, _META = 1, 14
# the registry of c10::impl::DeviceGuardImplInterface
_GUARDS = '_ZN3c104impl26device_guard_impl_registryE'


def allow_fake_cuda() -> None:
    """Give a build without CUDA the device guard that does nothing."""
    if torch.backends.cuda.is_built():
        torch._C._ensureCUDADeviceGuardSet()
        return
    library = os.path.join(os.path.dirname(torch.__file__), 'lib')
    guards = (ctypes.c_void_p * (_META + 1)).in_dll(
        ctypes.CDLL(os.path.join(library, 'libc10.so')), _GUARDS)
    guards[_CUDA] = guards[_META]


def _place() -> str:
    """Innermost line outside of torch and of this file."""
    for frame in reversed(traceback.extract_stack()):
        if frame.filename != __file__ and '/torch/' not in frame.filename:
            return f'{os.path.basename(frame.filename)}: {frame.line}'
    return '?'


class HostWaits(TorchDispatchMode):
    """Notes the operations for which the host waits for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.found: List[Tuple[str, str]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix('aten::')
        reason = _waits(name, args, kwargs)
        if reason:
            self.found.append((reason, _place()))
        if name in ('_local_scalar_dense', 'is_nonzero', 'equal'):
            # a fake tensor has no number to give, wherever it lies
            fake = isinstance(args[0], FakeTensor)
            return _any_number(args[0]) if fake else func(*args, **kwargs)
        return func(*args, **kwargs)

    def count(self) -> Counter:
        """How often each place waits."""
        return Counter(self.found)


def _any_number(x: torch.Tensor):
    if x.dtype == torch.bool:
        return False
    return 1. if x.dtype.is_floating_point else 1


def _waits(name: str, args: tuple, kwargs: dict) -> str:
    """Why the host waits for an operation; empty where it does not."""
    tensors = [x for x in tree_leaves((args, kwargs))
               if isinstance(x, torch.Tensor)]
    if not any(x.device.type == 'cuda' for x in tensors) \
            and torch.device(kwargs.get('device') or 'cpu').type != 'cuda':
        return ''
    if name in ('_local_scalar_dense', 'is_nonzero', 'equal', 'nonzero',
                'masked_select', 'unique_consecutive', '_unique2'):
        return f'{name} reads numbers'
    if name in ('index', 'index_put', 'index_put_', '_index_put_impl_'):
        kinds = [x for x in tree_leaves(args[1]) if x is not None]
        if any(x.dtype in (torch.bool, torch.uint8) for x in kinds):
            return f'{name} by a mask'
        if any(x.device.type == 'cpu' and x.dim() for x in kinds):
            return f'{name} by numbers of the host'
    if name == '_to_copy' and kwargs.get('device') is not None:
        source, goal = args[0].device.type, torch.device(kwargs['device']).type
        if source != goal and not (kwargs.get('non_blocking')
                                   and goal == 'cuda'):
            return f'{source} to {goal}'
    if name == 'copy_' and args[0].device.type != args[1].device.type:
        if not (len(args) > 2 and args[2] or kwargs.get('non_blocking')):
            return f'{args[1].device.type} to {args[0].device.type}'
    return ''


def move(model: nn.Module) -> None:
    """Put a model on the fake device: what ``to`` does, without numbers."""
    made = {}
    for module in model.modules():
        for group in (module._parameters, module._buffers):
            for name, x in group.items():
                if x is not None and id(x) not in made:
                    made[id(x)] = torch.empty_strided(
                        x.shape, x.stride(), dtype=x.dtype, device=DEVICE)
                    if isinstance(x, nn.Parameter):
                        made[id(x)] = nn.Parameter(made[id(x)],
                                                   x.requires_grad)
                if x is not None:
                    group[name] = made[id(x)]


def _zeros(x: FakeTensor) -> list:
    """``tolist`` of numbers that are not there: one copy, then zeros."""
    return np.zeros(x.to('cpu').shape).tolist()


@contextmanager
def fake_cuda(dtype: torch.dtype = None) -> Iterator[FakeTensorMode]:
    """Fake tensors, with autocast to ``dtype`` where one is given."""
    allow_fake_cuda()
    common = 'torch.cuda.amp.common.amp_definitely_not_available'
    with mock.patch(common, lambda: False), \
            mock.patch('torch.cuda.is_bf16_supported', lambda *args: True), \
            mock.patch.object(FakeTensor, 'tolist', _zeros), \
            FakeTensorMode(allow_non_fake_inputs=True) as mode, \
            torch.autocast('cuda', dtype) if dtype else nullcontext():
        yield mode
