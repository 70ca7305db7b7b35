# Copyright (c) costa_mm authors. All rights reserved.
"""Averaged weights that do not copy what is never trained."""
from collections import defaultdict
from copy import deepcopy
from typing import Dict, Optional

import torch
from mmengine.model import ExponentialMovingAverage
from torch import Tensor, nn

from costa_mm.registry import MODELS
from .sharding import ShardedDataParallel


@MODELS.register_module()
class TrainableEMA(ExponentialMovingAverage):
    """Exponential moving average of the weights that are trained.

    Frozen weights (a pretrained text encoder) never change, so they are
    shared with the model instead of being kept and averaged twice.  Buffers
    follow the model.

    Args:
        model (nn.Module): The model.
        momentum (float): Share of the new weights in each update; 1 - decay.
            Defaults to 0.0002.
        interval (int): Iterations between updates. Defaults to 1.

    Raises:
        RuntimeError: In an update, if a shared weight is trained after all.
    """

    def __init__(self,
                 model: nn.Module,
                 momentum: float = 0.0002,
                 interval: int = 1,
                 device: Optional[torch.device] = None) -> None:
        # an empty model first: the parent would copy the frozen weights
        super().__init__(nn.Module(), momentum, interval, device)
        frozen = {
            id(p): p
            for p in model.parameters() if not p.requires_grad
        }
        self.module = deepcopy(model, dict(frozen)).requires_grad_(False)
        if device is not None:
            self.module = self.module.to(device)
        self.avg_parameters = {
            name: p
            for name, p in self.module.named_parameters()
            if id(p) not in frozen
        }

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Move the average towards the model."""
        source = dict(model.named_parameters())
        for name, p in source.items():
            if p.requires_grad and name not in self.avg_parameters:
                raise RuntimeError(
                    f'{name} was frozen when the average was made and is '
                    'trained now')
        if self.steps % self.interval == 0:
            averages = list(self.avg_parameters.values())
            weights = [
                source[name].to(p.device)
                for name, p in self.avg_parameters.items()
            ]
            share = 1.0 if self.steps == 0 else self.momentum
            torch._foreach_lerp_(averages, weights, share)
        self._copy_buffers(model)
        self.steps += 1

    def _copy_buffers(self, model: nn.Module) -> None:
        """Those of one kind in one launch: frozen norms have hundreds."""
        kinds = defaultdict(lambda: ([], []))
        for average, buffer in zip(self.module.buffers(), model.buffers()):
            averages, buffers = kinds[average.dtype, average.device]
            averages.append(average)
            buffers.append(buffer)
        for averages, buffers in kinds.values():
            torch._foreach_copy_(averages, buffers)


class ShardedEMA(TrainableEMA):
    """The same of weights that are spread over processes.

    Every process averages its own parts.  Whole averages are there for a
    checkpoint only.

    Args:
        model (:obj:`ShardedDataParallel`): The model.
        momentum (float): As for :class:`TrainableEMA`.
        interval (int): As for :class:`TrainableEMA`.
    """

    def __init__(self,
                 model: ShardedDataParallel,
                 momentum: float = 0.0002,
                 interval: int = 1) -> None:
        super().__init__(nn.Module(), momentum, interval)
        model.drop_gathered()
        self.avg_parameters = {
            name: p.detach().clone()
            for name, p in model.named_parameters() if p.requires_grad
        }

    def follow(self, model: ShardedDataParallel) -> None:
        """Let the averages be the weights of now."""
        model.drop_gathered()
        weights = dict(model.named_parameters())
        for name, average in self.avg_parameters.items():
            average.copy_(weights[name].detach())

    def swap(self, model: ShardedDataParallel) -> None:
        """Exchange averages and weights, bit for bit."""
        model.drop_gathered()
        weights = dict(model.named_parameters())
        for name, average in self.avg_parameters.items():
            own = weights[name].data
            kept = own.clone()
            own.copy_(average)
            average.copy_(kept)

    def whole(self, model: ShardedDataParallel) -> Dict[str, Tensor]:
        """Gather the averages; every process has to call it.

        Returns:
            dict[str, Tensor]: As :meth:`ShardedDataParallel.whole_weights`.
        """
        self.swap(model)
        averages = model.whole_weights()
        self.swap(model)
        return averages

    def load_whole(self, model: ShardedDataParallel,
                   averages: Dict[str, Tensor]) -> None:
        """Take this process's parts of whole averages.

        The model's weights are theirs afterwards.

        Args:
            model (:obj:`ShardedDataParallel`): The model.
            averages (dict[str, Tensor]): The same in all processes.
        """
        with model.loading() as target:
            target.load_state_dict(averages, strict=False)
        self.follow(model)
