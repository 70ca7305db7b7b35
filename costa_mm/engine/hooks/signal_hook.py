# Copyright (c) costa_mm authors. All rights reserved.
"""Clusters that take their machines back, and people at a keyboard."""
import multiprocessing
import os
import signal
import threading
import time
from typing import Callable, Dict, List, Optional, Sequence

import torch
from mmengine.dist import all_reduce, get_backend, get_world_size
from mmengine.hooks import EMAHook, Hook
from torch import distributed as torch_dist

from costa_mm.registry import HOOKS
from .checkpoint_hook import AtomicCheckpointHook

# EX_TEMPFAIL of sysexits.h: "try again later"
INTERRUPTED_EXIT_CODE = 75


def outlive(numbers: Sequence[int]) -> None:
    """Let this data worker die of a signal only if its parent sends it.

    torchrun and Slurm send SIGTERM to the data workers as well; a worker that
    dies of it takes the process down that is about to save.  The parent ends
    a worker that does not answer with the same signal.

    Args:
        numbers (Sequence[int]): The signals.
    """
    if not hasattr(signal, 'sigwaitinfo'):  # macOS
        if signal.SIGINT in numbers:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        return
    parent = multiprocessing.parent_process().pid
    # threads started from here on, which is all of them, inherit the mask
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)

    def wait() -> None:
        while signal.sigwaitinfo(numbers).si_pid != parent:
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def _torchrun() -> bool:
    """Whether torchrun started this process."""
    return 'TORCHELASTIC_RUN_ID' in os.environ


class OutlivingWorker:
    """``worker_init_fn`` of a data loader that calls :func:`outlive` first.

    Args:
        numbers (Sequence[int]): The signals.
        init_fn (Callable, optional): What the loader had before.
    """

    def __init__(self, numbers: Sequence[int],
                 init_fn: Optional[Callable]) -> None:
        self.numbers = numbers
        self.init_fn = init_fn

    def __call__(self, worker_id: int) -> None:
        outlive(self.numbers)
        if self.init_fn is not None:
            self.init_fn(worker_id)


@HOOKS.register_module()
class SaveOnSignalHook(Hook):
    """Save and exit when the machine is taken back, or at Ctrl-C.

    After SIGTERM (the habit of preemptible clusters) or SIGINT (Ctrl-C) the
    iteration in hand is finished, a checkpoint is written, and the program
    ends with exit code 75.  All processes agree on the iteration, so it is
    enough if one of them gets the signal.  Data workers do not die of them.

    Further SIGTERMs change nothing (a scheduler and torchrun both send one).
    A second Ctrl-C ends the process at once, without saving; under torchrun,
    which passes the first one on a second time, it has to come a second
    after the first.

    It needs an :class:`AtomicCheckpointHook`.  torchrun kills its processes
    30 seconds after it has passed the signal on, so iteration and saving
    together have to be faster than that.

    Args:
        signals (Sequence[str]): Names of the signals.
            Defaults to ('SIGTERM', 'SIGINT').

    Raises:
        ValueError: If a signal's name is unknown.
    """

    priority = 'LOWEST'  # after everything else has seen the iteration

    def __init__(
            self, signals: Sequence[str] = ('SIGTERM', 'SIGINT')) -> None:
        unknown = [s for s in signals if not hasattr(signal, s)]
        if unknown:
            raise ValueError(f'{unknown} are no signals')
        self.signals = [getattr(signal, s) for s in signals]
        self._received: Optional[int] = None
        self._interrupted: Optional[float] = None
        self._previous: Dict[int, object] = {}
        self._loaders: List[tuple] = []
        self._pid = -1
        self._val_batches = 0
        self._group = None

    def before_train(self, runner) -> None:
        """Take the signals over."""
        if not any(
                isinstance(h, AtomicCheckpointHook) for h in runner.hooks):
            raise ValueError(
                'SaveOnSignalHook needs default_hooks.checkpoint=dict('
                "type='costa_mm.AtomicCheckpointHook', ...)")
        if threading.current_thread() is not threading.main_thread():
            runner.logger.warning('signals cannot be taken over outside the '
                                  'main thread; SaveOnSignalHook does nothing')
            return
        self._pid = os.getpid()
        if get_backend() not in (None, 'gloo') and self._group is None:
            self._group = torch_dist.new_group(backend='gloo')
        for number in self.signals:
            self._previous[number] = signal.signal(number, self._note)
        for loop in (runner.train_loop, runner.val_loop):
            loader = getattr(loop, 'dataloader', None)
            if loader is not None:
                self._loaders.append((loader, loader.worker_init_fn))
                loader.worker_init_fn = OutlivingWorker(
                    self.signals, loader.worker_init_fn)

    def after_train(self, runner) -> None:
        """Give the signals back."""
        for loader, init_fn in self._loaders:
            loader.worker_init_fn = init_fn
        self._loaders.clear()
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _note(self, number: int, frame) -> None:
        """Signal handler: takes a note; a forked worker dies as before."""
        interrupted = number == signal.SIGINT
        if os.getpid() != self._pid or (interrupted and self._is_second()):
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self._received = number
        if interrupted and not _torchrun():
            os.write(2, b'Ctrl-C: saving after this iteration; a second one '
                     b'ends the run at once\n')
            # from now on it works even inside of a computation
            signal.signal(number, signal.SIG_DFL)

    def _is_second(self) -> bool:
        """Whether this Ctrl-C comes after another one."""
        now = time.monotonic()
        first, self._interrupted = self._interrupted, now
        return first is not None and now - first > 1

    def _agreed(self) -> Optional[int]:
        """The signal that any process has got."""
        return self._over_hosts(self._received or 0, 'max') or None

    def _over_hosts(self, number: int, op: str) -> int:
        """Reduce a number over processes without asking their devices."""
        if get_world_size() == 1:
            return number
        value = torch.tensor(number)
        all_reduce(value, op, self._group)
        return int(value)

    def after_train_iter(self,
                         runner,
                         batch_idx: int,
                         data_batch=None,
                         outputs=None) -> None:
        """Save and exit if a signal has come."""
        number = self._agreed()
        if number is not None:
            self._leave(runner, number, runner.iter + 1)

    def before_val_epoch(self, runner) -> None:
        """Agree on the validation batches that all processes have."""
        if self._pid < 0:
            return
        self._val_batches = self._over_hosts(
            len(runner.val_dataloader), 'min')

    def after_val_iter(self,
                       runner,
                       batch_idx: int,
                       data_batch=None,
                       outputs=None) -> None:
        """The same in the middle of a validation, which is then repeated."""
        if self._pid < 0 or batch_idx >= self._val_batches:
            return
        number = self._agreed()
        if number is not None:
            for hook in runner.hooks:
                if isinstance(hook, EMAHook):  # swapped for the validation
                    hook._swap_ema_parameters()
            self._leave(runner, number, runner.iter)

    def _leave(self, runner, number: int, iters: int) -> None:
        name = signal.Signals(number).name
        hook = next(
            h for h in runner.hooks if isinstance(h, AtomicCheckpointHook))
        meta = dict(epoch=runner.epoch, iter=iters)
        path = hook.save_interrupted(runner, meta)
        runner.logger.warning(
            f'{name}: saved {path} at iteration {iters}; go on with --resume. '
            f'Exit code {INTERRUPTED_EXIT_CODE}')
        raise SystemExit(INTERRUPTED_EXIT_CODE)
