# Copyright (c) costa_mm authors. All rights reserved.
"""Averaged weights, sharing what is frozen."""
from mmengine.hooks import EMAHook

from costa_mm.registry import HOOKS

from .. import averaging  # noqa: F401  registers TrainableEMA


@HOOKS.register_module()
class STVGEMAHook(EMAHook):
    """MMEngine's ``EMAHook`` that does not copy frozen weights.

    Validation, testing and the ``state_dict`` of a checkpoint use the
    averaged weights; those being trained are in ``ema_state_dict``.

    Args:
        ema_type (str): Defaults to 'costa_mm.TrainableEMA'.
        **kwargs: As for ``EMAHook``: ``momentum``, ``begin_iter``, ...
    """

    def __init__(self,
                 ema_type: str = 'costa_mm.TrainableEMA',
                 **kwargs) -> None:
        super().__init__(ema_type=ema_type, **kwargs)
