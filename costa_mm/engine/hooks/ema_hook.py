# Copyright (c) costa_mm authors. All rights reserved.
"""Averaged weights, sharing what is frozen."""
from mmengine.hooks import EMAHook
from mmengine.runner import BaseLoop

from costa_mm.registry import HOOKS
from .. import averaging  # noqa: F401  registers TrainableEMA
from ..sharding import ShardedDataParallel


@HOOKS.register_module()
class STVGEMAHook(EMAHook):
    """MMEngine's ``EMAHook`` that does not copy frozen weights.

    Validation, testing and the ``state_dict`` of a checkpoint use the
    averaged weights; those being trained are in ``ema_state_dict``.  Where
    nothing is trained (``tools/test.py``) the hook does nothing, since the
    averaged weights are what is loaded.

    Args:
        ema_type (str): Defaults to 'costa_mm.TrainableEMA'.
        **kwargs: As for ``EMAHook``: ``momentum``, ``begin_iter``, ...
    """

    def __init__(self,
                 ema_type: str = 'costa_mm.TrainableEMA',
                 **kwargs) -> None:
        super().__init__(ema_type=ema_type, **kwargs)
        self.ema_model = None

    def before_run(self, runner) -> None:
        """Make the average, in training only."""
        if isinstance(runner.model, ShardedDataParallel):
            raise ValueError('STVGEMAHook averages whole weights, which '
                             'sharded training does not have: leave it out of '
                             'custom_hooks')
        if isinstance(runner._train_loop, BaseLoop):
            super().before_run(runner)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Resume the average; a fresh run's starts with the first update."""
        if self.ema_model is not None and runner._resume:
            super().after_load_checkpoint(runner, checkpoint)

    def _swap_ema_parameters(self) -> None:
        if self.ema_model is not None:
            super()._swap_ema_parameters()
