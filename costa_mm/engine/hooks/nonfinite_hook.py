# Copyright (c) costa_mm authors. All rights reserved.
"""Losses that are NaN or infinite."""
import os
import os.path as osp
from functools import partial, wraps
from inspect import unwrap
from typing import Any, Callable, List, Optional

import numpy as np
import torch
from mmengine.dist import all_gather_object, all_reduce
from mmengine.hooks import Hook
from mmengine.structures import BaseDataElement
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from costa_mm.registry import HOOKS
from ..checkpoint_io import save_checkpoint_file


class NonFiniteLossError(RuntimeError):
    """A loss or gradient is NaN or infinite; no weight has been touched."""


class _NotFinite(Exception):
    """Something is not finite: the loss of some process, or gradients."""

    def __init__(self, loss: Optional[Tensor]) -> None:
        super().__init__()
        self.loss = loss


def sample_ids(data_batch: Any) -> List[str]:
    """Sample ids of a batch, as far as its samples have one."""
    samples = data_batch.get('data_samples', []) if isinstance(
        data_batch, dict) else []
    return [str(getattr(s, 'sample_id', '?')) for s in samples]


def plain(value: Any) -> Any:
    """Turn a batch into what ``weights_only=True`` reads back.

    Tensors, numbers, strings and their containers stay; arrays become
    tensors, data elements become dicts, anything else its text.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value if type(value).__module__ == 'builtins' else repr(value)
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, np.ndarray) and value.dtype.kind in 'biuf':
        return torch.from_numpy(value.copy())
    if isinstance(value, BaseDataElement):
        return {k: plain(v) for k, v in value.all_items()}
    if hasattr(value, 'to_dict'):  # a tube
        return plain(value.to_dict())
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return repr(value)


@HOOKS.register_module()
class NonFiniteLossHook(Hook):
    """Stop at, or leave out, a batch whose loss is NaN or infinite.

    Loss and gradients are looked at before the update, so no weight is ever
    touched by such a batch.  The host reads both at once, with the norm that
    the gradients are clipped by: the only time that it waits for the device
    in an iteration.  All processes decide together, so they stay in step.
    The batch is written to ``<work_dir>/nonfinite/iter_<n>_rank<r>.pth`` by
    each process whose own loss is not finite.

    Running statistics of a batch norm that is not frozen see a batch before
    its loss does; with such layers 'stop' is the only sound choice.  With
    gradient accumulation a skipped batch counts as zero; if it is the last
    of its window, the window is dropped.  For that its loss has to be looked
    at before it is propagated, which waits once more.

    Args:
        action (str): 'stop' raises :class:`NonFiniteLossError` with the
            sample ids, 'skip' leaves the batch out, counts and logs it.
            Defaults to 'stop'.
        max_in_a_row (int): Skipped batches in a row after which the run
            stops all the same. Defaults to 20.
        check_gradients (bool): Look at the gradients too; not needed under
            a loss scaler, which does so. Defaults to True.
        max_dumps (int): Batches written per run. Defaults to 5.

    Raises:
        ValueError: If ``action`` is neither 'stop' nor 'skip'.
    """

    priority = 'VERY_HIGH'

    def __init__(self,
                 action: str = 'stop',
                 max_in_a_row: int = 20,
                 check_gradients: bool = True,
                 max_dumps: int = 5) -> None:
        if action not in ('stop', 'skip'):
            raise ValueError(f"action {action!r} is neither 'stop' nor "
                             "'skip'")
        self.action = action
        self.max_in_a_row = max_in_a_row
        self.check_gradients = check_gradients
        self.max_dumps = max_dumps
        self.skipped = 0
        self._in_a_row = 0
        self._dumps = 0
        self._checks_steps = False
        self._looks_ahead = False
        self._batch: Any = None
        self._loss: Optional[Tensor] = None
        self._originals: dict = {}

    def before_train(self, runner) -> None:
        """Stand between the loss and its propagation."""
        self.skipped = runner.message_hub.runtime_info.get(
            'nonfinite_skipped', 0)
        wrapper = runner.optim_wrapper
        scaler = getattr(wrapper, 'loss_scaler', None)
        self._checks_steps = self.check_gradients and not (
            scaler and scaler.is_enabled())
        self._looks_ahead = not self._checks_steps or (
            self.action == 'skip'
            and getattr(wrapper, '_accumulative_counts', 1) > 1)
        self._replace(wrapper, 'update_params', partial(self._update, runner))
        if self._checks_steps:
            self._replace(wrapper, 'step', partial(self._step, runner))
            # that of sharded training says whose place it takes
            clip = getattr(wrapper, 'clip_func', None)
            if unwrap(clip) is unwrap(clip_grad_norm_):
                self._replace(wrapper, 'clip_func', self._clip)

    def _replace(self, wrapper, name: str, checked: Callable) -> None:
        """Put a method of this hook, which gets the original, in front."""
        original = self._originals[name] = getattr(wrapper, name)

        # the schedulers mark the method `step` and look for their mark
        @wraps(original)
        def checked_method(*args, **kwargs):
            return checked(original, *args, **kwargs)

        setattr(wrapper, name, checked_method)

    def after_train(self, runner) -> None:
        """Step aside."""
        for name, method in self._originals.items():
            setattr(runner.optim_wrapper, name, method)

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Keep the batch for the case that it has to be named."""
        self._batch = data_batch

    def after_train_iter(self,
                         runner,
                         batch_idx,
                         data_batch=None,
                         outputs=None) -> None:
        """Let the batch go."""
        self._batch = None

    # ------------------------------------------------------------- the loss
    def _update(self, runner, update: Callable, loss: Tensor, *args,
                **kwargs) -> None:
        self._loss = loss.detach()
        if self._looks_ahead and not self._finite(runner):
            self._skip(runner.optim_wrapper)
            return
        update(loss, *args, **kwargs)
        if self._loss is not None:  # no step has looked at it
            self._finite(runner)

    def _skip(self, wrapper) -> None:
        """Do for a left-out batch what an update would do for a batch."""
        wrapper._inner_count += 1
        if wrapper.should_update():
            # gradients gathered without synchronisation differ by process
            wrapper.zero_grad()

    def _finite(self, runner) -> bool:
        """Look at the loss alone."""
        try:
            self._look()
        except _NotFinite as e:
            self._report(runner, e)
            return False
        if not self._checks_steps:
            self._in_a_row = 0
        return True

    # -------------------------------------------------------- the gradients
    def _step(self, runner, step: Callable, **kwargs) -> None:
        try:
            if 'clip_func' not in self._originals:
                self._look(self._largest_norm(runner.optim_wrapper))
            step(**kwargs)
        except _NotFinite as e:
            self._report(runner, e)
        else:
            self._in_a_row = 0

    @staticmethod
    def _largest_norm(wrapper) -> Optional[Tensor]:
        """Largest norm of a gradient; NaN if one is."""
        grads = [
            p.grad for group in wrapper.optimizer.param_groups
            for p in group['params'] if p.grad is not None
        ]
        return torch.stack(
            torch._foreach_norm(grads)).amax() if grads else None

    def _clip(self, clip: Callable, *args, **kwargs) -> float:
        """Clip; whoever logs the norm gets it from the host."""
        return self._look(clip(*args, **kwargs))

    # ------------------------------------------------------------ the verdict
    def _look(self, norm: Optional[Tensor] = None) -> Optional[float]:
        """Read the norm and whether all is finite, in all processes.

        Returns:
            float or None: The norm, where one was given.

        Raises:
            _NotFinite: If something is not finite.
        """
        loss, self._loss = self._loss, None
        suspects = [loss] if loss is not None else []
        suspects += [norm] if norm is not None else []
        bad = torch.stack(
            [(~torch.isfinite(x)).any() for x in suspects]).to(torch.int32)
        all_reduce(bad, 'max')
        if norm is None:
            verdict, value = bad.tolist(), None
        else:
            *verdict, value = torch.cat(
                [bad.to(norm.dtype), norm.reshape(1)]).tolist()
        if any(verdict):
            raise _NotFinite(loss if loss is not None and verdict[0] else None)
        return value

    # -------------------------------------------------------------- telling
    def _report(self, runner, found: _NotFinite) -> None:
        """Log and dump; raise if the run has to stop."""
        # gradients are the same everywhere, a loss may be another's
        own, what = True, 'a gradient'
        if found.loss is not None:
            own = not bool(torch.isfinite(found.loss).all())
            what = f'loss {float(found.loss):g}'
        self.skipped += 1
        self._in_a_row += 1
        runner.message_hub.update_info('nonfinite_skipped', self.skipped)
        path = self._dump(runner) if own else None
        facts = all_gather_object(
            (sample_ids(self._batch), what, path) if own else None)
        said = '; '.join(f'samples {ids}: {what}, batch in {path}'
                         for ids, what, path in filter(None, facts))
        message = f'not finite at iteration {runner.iter + 1}: {said}'
        if self.action == 'stop':
            raise NonFiniteLossError(message)
        if self._in_a_row >= self.max_in_a_row:
            raise NonFiniteLossError(
                f'{message}; {self._in_a_row} batches in a row')
        runner.logger.warning(f'{message}; skipped ({self.skipped} so far)')

    def _dump(self, runner) -> Optional[str]:
        """Write the batch where a person can look at it."""
        if self._dumps >= self.max_dumps:
            return None
        self._dumps += 1
        folder = osp.join(runner.work_dir, 'nonfinite')
        path = osp.join(folder,
                        f'iter_{runner.iter + 1}_rank{runner.rank}.pth')
        try:
            os.makedirs(folder, exist_ok=True)
            save_checkpoint_file(
                dict(
                    sample_ids=sample_ids(self._batch),
                    epoch=runner.epoch,
                    iter=runner.iter + 1,
                    batch=plain(self._batch)), path)
        except OSError as e:
            runner.logger.error(f'{path} could not be written: {e}')
            return None
        return path
