# Copyright (c) costa_mm authors. All rights reserved.
"""Mixed precision on any device."""
from contextlib import contextmanager
from typing import Iterator, Optional, Union

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from costa_mm.registry import OPTIM_WRAPPERS
from ..launch import autocast_dtype

_DTYPES = dict(float16=torch.float16, bfloat16=torch.bfloat16)


@OPTIM_WRAPPERS.register_module()
class STVGAmpOptimWrapper(OptimWrapper):
    """Mixed precision training on CUDA and on the CPU.

    MMEngine's ``AmpOptimWrapper`` insists on an accelerator and scales the
    loss for bfloat16 too, whose range needs no scaling.

    Args:
        dtype (str, optional): 'bfloat16' or 'float16'. None takes bfloat16,
            or float16 on CUDA devices that have no bfloat16.
        loss_scale (str or float or dict): For float16 only: 'dynamic', a
            fixed scale, or arguments of ``torch.amp.GradScaler``.
        **kwargs: Arguments of ``OptimWrapper``.

    Raises:
        ValueError: If ``dtype`` is unknown, or float16 on the CPU.
    """

    def __init__(self,
                 *,
                 dtype: Optional[str] = None,
                 loss_scale: Union[str, float, dict] = 'dynamic',
                 **kwargs) -> None:
        super().__init__(**kwargs)
        if dtype is not None and dtype not in _DTYPES:
            raise ValueError(f'dtype {dtype!r} is none of {tuple(_DTYPES)}')
        self.cast_dtype = _DTYPES.get(dtype) or autocast_dtype()
        self.device_type = 'cuda' if torch.cuda.is_available() else 'cpu'
        half = self.cast_dtype == torch.float16
        if half and self.device_type == 'cpu':
            raise ValueError('float16 needs CUDA; on the CPU use '
                             "dtype='bfloat16'")
        self._fixed_scale = None if isinstance(loss_scale,
                                               (str, dict)) else loss_scale
        self.loss_scaler = self._build_scaler(loss_scale, half)

    @staticmethod
    def _build_scaler(loss_scale: Union[str, float, dict],
                      enabled: bool) -> torch.amp.GradScaler:
        if isinstance(loss_scale, dict):
            options = dict(loss_scale)
        elif loss_scale == 'dynamic':
            options = {}
        elif isinstance(loss_scale, (int, float)):
            options = dict(init_scale=float(loss_scale))
        else:
            raise ValueError(f'loss_scale {loss_scale!r} is neither '
                             "'dynamic' nor a number nor a dict")
        return torch.amp.GradScaler('cuda', enabled=enabled, **options)

    def backward(self, loss: Tensor, **kwargs) -> None:
        """Back-propagate, scaled where float16 needs it."""
        self.loss_scaler.scale(loss).backward(**kwargs)
        self._inner_count += 1

    def step(self, **kwargs) -> None:
        """Clip and update; float16 leaves out updates that overflowed."""
        if self.clip_grad_kwargs:
            self.loss_scaler.unscale_(self.optimizer)
            self._clip_grad()
        self.loss_scaler.step(self.optimizer, **kwargs)
        self.loss_scaler.update(self._fixed_scale)

    def state_dict(self) -> dict:
        """State of the optimizer and, if there is one, of the scaler."""
        state = super().state_dict()
        if self.loss_scaler.is_enabled():
            state['loss_scaler'] = self.loss_scaler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict) -> None:
        """Load what :meth:`state_dict` gave; a scaler's state may lack."""
        state = dict(state_dict)
        scaler = state.pop('loss_scaler', None)
        if scaler and self.loss_scaler.is_enabled():
            self.loss_scaler.load_state_dict(scaler)
        super().load_state_dict(state)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Forward pass under autocast."""
        with super().optim_context(model), torch.autocast(
                self.device_type, dtype=self.cast_dtype):
            yield
