# Copyright (c) costa_mm authors. All rights reserved.
"""Averaged weights, sharing what is frozen."""
from typing import Optional

from mmengine.hooks import EMAHook
from mmengine.runner import BaseLoop

from costa_mm.registry import HOOKS, MODELS
from ..averaging import ShardedEMA, TrainableEMA
from ..sharding import ShardedDataParallel


@HOOKS.register_module()
class STVGEMAHook(EMAHook):
    """MMEngine's ``EMAHook`` that does not copy frozen weights.

    Validation, testing and the ``state_dict`` of a checkpoint use the
    averaged weights, also after the training (``runner.train()``, then
    ``runner.test()``); those being trained are in ``ema_state_dict``.  Where
    nothing is trained (``tools/test.py``) the hook does nothing, since the
    averaged weights are what is loaded.  Of a sharded model every process
    averages its own part.

    Args:
        ema_type (str): Defaults to 'costa_mm.TrainableEMA'.
        **kwargs: As for ``EMAHook``: ``momentum``, ``begin_iter``, ...

    Raises:
        ValueError: At the start, with another ``ema_type`` for a sharded
            model.
    """

    def __init__(self,
                 ema_type: str = 'costa_mm.TrainableEMA',
                 **kwargs) -> None:
        super().__init__(ema_type=ema_type, **kwargs)
        self.ema_model = None
        self._begun = False  # whether there is an average of this training
        self._whole: Optional[dict] = None  # averages, for a checkpoint

    def before_run(self, runner) -> None:
        """Make the average, in training only and once.

        MMEngine calls this before every training, validation and test.
        """
        if self._begun or not isinstance(runner._train_loop, BaseLoop):
            return
        if isinstance(runner.model, ShardedDataParallel):
            self._shard(runner.model)
        else:
            super().before_run(runner)

    def _shard(self, model: ShardedDataParallel) -> None:
        cfg = dict(self.ema_cfg)
        kind = MODELS.get(cfg.pop('type'))
        if kind is not TrainableEMA:
            raise ValueError(
                f'sharded training averages as TrainableEMA does, not as '
                f'{kind.__name__}: leave ema_type out')
        self.src_model, self.ema_model = model, ShardedEMA(model, **cfg)

    def after_train_iter(self, runner, *args, **kwargs) -> None:
        """Move the average towards the weights."""
        self._begun = True
        if isinstance(self.ema_model, ShardedEMA) \
                and not self._ema_started(runner):
            self.ema_model.follow(self.src_model)
        else:
            super().after_train_iter(runner, *args, **kwargs)

    def gather_shards(self, runner) -> None:
        """Gather the averages for a checkpoint, in all processes."""
        if self.ema_model is not None:
            self._whole = self.ema_model.whole(self.src_model)

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Let the averages be the checkpoint's weights."""
        if not isinstance(self.ema_model, ShardedEMA):
            super().before_save_checkpoint(runner, checkpoint)
            return
        averages = {f'module.{k}': v for k, v in self._whole.items()}
        checkpoint['ema_state_dict'] = dict(
            steps=self.ema_model.steps, **averages)
        self._whole = None
        self._swap_ema_state_dict(checkpoint)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Resume the average; a fresh run's starts with the first update.

        Whatever else is loaded after a training is what counts then.
        """
        self._begun = self.ema_model is not None and runner._resume
        if not self._begun:
            return
        if not isinstance(self.ema_model, ShardedEMA):
            super().after_load_checkpoint(runner, checkpoint)
            return
        self.ema_model.load_whole(self.src_model, checkpoint['state_dict'])
        if 'ema_state_dict' in checkpoint:
            self.ema_model.steps.copy_(checkpoint['ema_state_dict']['steps'])
            self._swap_ema_state_dict(checkpoint)
        else:
            runner.logger.warning(
                'the checkpoint holds no averages: they begin with its '
                'weights')

    def _swap_ema_parameters(self) -> None:
        if isinstance(self.ema_model, ShardedEMA):
            self.ema_model.swap(self.src_model)
        elif self.ema_model is not None:
            super()._swap_ema_parameters()
