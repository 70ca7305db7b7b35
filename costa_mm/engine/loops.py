# Copyright (c) costa_mm authors. All rights reserved.
"""Training loops that go on exactly where they were interrupted."""
import random
from typing import Any, Iterator, List, Optional, Tuple

import numpy as np
import torch
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop
from mmengine.runner.utils import calc_dynamic_intervals
from torch.utils.data import DataLoader

from costa_mm.registry import LOOPS
from .run_state import preserved_random_state

# more than processes, so that no two seeds are the same; a prime
_STRIDE = 100003


def _batches(dataloader: DataLoader,
             *,
             epoch: int = 0,
             start: int = 0,
             endless: bool = False) -> Iterator[Any]:
    """Batches of an epoch from batch ``start`` on, or all that ever come.

    Making an iterator draws a seed for its workers from torch's global
    generator; a resumed run makes other iterators than an uninterrupted one,
    so those draws must leave no trace.
    """
    sampler = dataloader.sampler
    offset = start * (dataloader.batch_size or 1)
    sampler.set_epoch(epoch)
    sampler.set_offset(offset, endless=endless)
    with preserved_random_state():
        iterator = iter(dataloader)
    return iterator


def _split_random_streams(runner, done: int) -> None:
    """Let each process draw its own numbers, once the model is the same.

    A run that goes on after ``done`` iterations draws others than at its
    beginning; where the state of then is known it is put back later.
    """
    if runner.world_size > 1 or done:
        seed = (runner.seed + runner.rank + _STRIDE * done) % 2**32
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)


class _ResumableLoop:
    """What both loops share: a position, and validation without traces."""

    def _init_position(self) -> None:
        sampler = self.dataloader.sampler
        if not hasattr(sampler, 'set_offset'):
            raise TypeError(
                f'the sampler {type(sampler).__name__} cannot start in the '
                "middle of an epoch: use sampler=dict(type='costa_mm."
                "EpochSampler', shuffle=True) in train_dataloader")
        # N processes with batch size 1 and one with batch size N then end an
        # epoch with the same samples
        if not self.dataloader.drop_last:
            sampler.batch_size = self.dataloader.batch_size or 1
        self._resumed: Optional[dict] = None
        # where the sampler stood at which iteration: those of earlier runs
        # may have been of another size
        self._anchor = (0, 0, 0)  # epoch, iteration, batch
        self.held_random_state: Optional[dict] = None
        self.validated_at = -1

    def _samples_per_batch(self) -> int:
        return (self.dataloader.batch_size or 1) * get_world_size()

    def state_dict(self) -> dict:
        """What the loop needs to go on, beside epoch and iteration."""
        return dict(
            seed=self.dataloader.sampler.seed,
            dataset_seed=getattr(self.dataloader.dataset, 'seed', None),
            samples_per_batch=self._samples_per_batch(),
            batches_per_epoch=len(self.dataloader),
            anchor=list(self._anchor),
            validated_at=self.validated_at)

    def load_state_dict(self, state: dict) -> None:
        """Take over the state of an interrupted loop."""
        self._resumed = dict(state)
        self.validated_at = state['validated_at']
        self.dataloader.sampler.seed = state['seed']
        if state['dataset_seed'] is not None:
            self.dataloader.dataset.seed = state['dataset_seed']

    def _batches_done(self, iters: int) -> int:
        """Iterations of the interrupted run in batches of this one."""
        state = self._resumed
        now = self._samples_per_batch()
        if state is None or state['samples_per_batch'] == now:
            return iters
        print_log(
            f'the run was interrupted with {state["samples_per_batch"]} '
            f'samples per iteration and goes on with {now}: it is resumed, '
            'but not exactly', 'current', 30)
        return iters * state['samples_per_batch'] // now

    def _go_on(self, anchor: Tuple[int, int, int]) -> int:
        """Batch to go on with; the anchor moves if batches have changed."""
        epoch, iters, batch = anchor
        done = batch + self._iter - iters
        start = self._batches_done(done)
        self._anchor = anchor if start == done else (epoch, self._iter, start)
        return start

    def _validate(self) -> None:
        """Validate; the training goes on as if nothing had been drawn."""
        with preserved_random_state() as state:
            self.held_random_state = state
            try:
                self.runner.val_loop.run()
            finally:
                self.held_random_state = None
        self.validated_at = self._iter

    def _validate_if_due(self, count: int, last: int) -> None:
        if (self.runner.val_loop is not None and count >= self.val_begin
                and (count % self.val_interval == 0 or count == last)
                and self.validated_at != self._iter):
            self._validate()

    def _begin(self) -> None:
        _split_random_streams(self.runner, self._iter)
        self.runner.call_hook('before_train')


@LOOPS.register_module()
class ResumableEpochTrainLoop(_ResumableLoop, EpochBasedTrainLoop):
    """Epoch based training that can be resumed in the middle of an epoch.

    The batches before the interruption are neither loaded nor decoded.  A
    validation that was due and did not end is made up for.  The arguments
    are those of MMEngine's ``EpochBasedTrainLoop``.

    Raises:
        TypeError: If the sampler has no offset (see
            :class:`costa_mm.datasets.samplers.EpochSampler`).
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._init_position()
        self._start = 0

    def run(self):
        """Launch training, or go on with it."""
        self._find_start()
        self._begin()
        if self._epoch > 0 and self._start == 0:
            self._decide_current_val_interval()
            self._validate_if_due(self._epoch, self._max_epochs)
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            self._validate_if_due(self._epoch, self._max_epochs)
        self.runner.call_hook('after_train')
        return self.runner.model

    def _find_start(self) -> None:
        """Batch of the epoch to go on with."""
        state = self._resumed or {}
        per_epoch = state.get('batches_per_epoch', len(self.dataloader))
        anchor = tuple(
            state.get('anchor', (self._epoch, self._epoch * per_epoch, 0)))
        if anchor[0] != self._epoch:  # saved at the end of the one before
            anchor = self._epoch, self._iter, 0
        self._start = min(
            max(self._go_on(anchor), 0), len(self.dataloader))

    def run_epoch(self) -> None:
        """Run what is left of an epoch."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        start, self._start = self._start, 0
        if self._anchor[0] != self._epoch:
            self._anchor = self._epoch, self._iter, 0
        if start < len(self.dataloader):
            batches = _batches(
                self.dataloader, epoch=self._epoch, start=start)
            for idx, data_batch in enumerate(batches, start):
                self.run_iter(idx, data_batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1


@LOOPS.register_module()
class ResumableIterTrainLoop(_ResumableLoop, IterBasedTrainLoop):
    """Iteration based training that can be resumed at any iteration.

    The batches before the interruption are neither loaded nor decoded, and
    the data workers run on from one pass over the dataset to the next.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader or dict): Training data.
        max_iters (int): Iterations in total.
        val_begin (int): First iteration with a validation. Defaults to 1.
        val_interval (int): Defaults to 1000.
        dynamic_intervals (list[tuple[int, int]], optional): (iteration,
            interval) pairs.

    Raises:
        TypeError: If the sampler has no offset (see
            :class:`costa_mm.datasets.samplers.EpochSampler`).
    """

    def __init__(
            self,
            runner,
            dataloader,
            max_iters: int,
            val_begin: int = 1,
            val_interval: int = 1000,
            dynamic_intervals: Optional[List[Tuple[int,
                                                   int]]] = None) -> None:
        # IterBasedTrainLoop.__init__ starts the workers at the first batch,
        # before anybody knows where a resumed run goes on
        BaseLoop.__init__(self, runner, dataloader)
        self._max_iters, self._max_epochs = int(max_iters), 1
        self._epoch = self._iter = 0
        self.val_begin, self.val_interval = val_begin, val_interval
        self.stop_training = False
        self.runner.visualizer.dataset_meta = getattr(
            self.dataloader.dataset, 'metainfo', None)
        self.dynamic_milestones, self.dynamic_intervals = \
            calc_dynamic_intervals(self.val_interval, dynamic_intervals)
        self._init_position()

    def run(self):
        """Launch training, or go on with it."""
        start = self._go_on(
            tuple((self._resumed or {}).get('anchor', (0, 0, 0))))
        self._begin()
        self.runner.call_hook('before_train_epoch')
        if self._iter > 0:
            self._decide_current_val_interval()
            self._validate_if_due(self._iter, self._max_iters)
        self.dataloader_iterator = _batches(
            self.dataloader, start=start, endless=True)
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._decide_current_val_interval()
            self._validate_if_due(self._iter, self._max_iters)
        self.dataloader_iterator = None  # ends the workers
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model
