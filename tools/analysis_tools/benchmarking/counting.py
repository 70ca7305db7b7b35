# Copyright (c) costa_mm authors. All rights reserved.
"""Live bytes and operations of a training step that is not computed.

Tensors without numbers go through the model (PyTorch's ``FakeTensorMode``),
so a step at a size that this machine could never run is counted in seconds.
"""
from typing import Optional
from unittest import mock

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from costa_mm.models.layers import attention
from costa_mm.registry import MODELS
from .live_memory import LiveMemory, state_of
from .subjects import Spec, autocast, make_batch, read_config


def _all_keys(key_mask: Optional[Tensor]) -> Optional[Tensor]:
    """A mask without numbers cannot be asked if anything is padded."""
    return None if key_mask is None else ~key_mask[:, None, None, :]


def count_training(spec: Spec) -> dict:
    """Count the second of two training steps, when all states are there.

    Maps lie channels first, which takes the same memory; norms of gradients
    are not made, so clipping is left out.

    Args:
        spec (Spec): On the CPU, task 'train'.

    Returns:
        dict: 'flops', 'live_bytes' (the most at once) and 'state_bytes'
        (weights, moments and averages, between steps).
    """
    cfg = read_config(spec)
    cfg.model.backbone.channels_last = False
    optimizer_cfg = {**cfg.optim_wrapper.optimizer}
    optimizer_cfg.pop('fused', None)  # the states are the same
    kind = getattr(torch.optim, optimizer_cfg.pop('type'))
    with FakeTensorMode(allow_non_fake_inputs=True), \
            mock.patch.object(attention, '_valid_keys', _all_keys):
        model = MODELS.build(cfg.model).train()
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = kind(trained, **optimizer_cfg)
        data = model.data_preprocessor(make_batch(spec), True)
        # as TrainableEMA has them
        averages = [p.detach().clone() for p in trained]

        def step() -> None:
            with autocast(spec):
                losses = model(**data, mode='loss')
            sum(v for k, v in losses.items() if 'loss' in k).backward()
            optimizer.step()
            optimizer.zero_grad()
            for average, param in zip(averages, trained):
                average.lerp_(param.detach(), 0.5)

        # apart: the counter keeps what checkpointed blocks compute again
        with FlopCounterMode(display=False) as counter:
            step()
        states = (*state_of(model, optimizer), *averages)
        with LiveMemory(states) as memory:
            step()
    return dict(flops=counter.get_total_flops(), live_bytes=memory.peak,
                state_bytes=memory.live)
