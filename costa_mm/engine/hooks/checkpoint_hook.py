# Copyright (c) costa_mm authors. All rights reserved.
"""Checkpoints that a kill or a full disk cannot take away."""
import glob
import inspect
import os
import os.path as osp
import time
from collections import deque
from typing import Dict, List, Optional, Tuple, Union

import mmengine
from mmengine.dist import (broadcast_object_list, gather_object, get_rank,
                           is_main_process)
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner.checkpoint import weights_to_cpu
from mmengine.utils import apply_to

from costa_mm.registry import HOOKS
from costa_mm.utils.files import remove_leftovers, write_text
from ..checkpoint_io import save_checkpoint_file
from ..run_state import (capture_rank_state, forget_old_scalars,
                         restore_rank_state)
from ..sharding import ShardedDataParallel, whole_states

_ARGUMENTS = set(inspect.signature(CheckpointHook.__init__).parameters)
_ARGUMENTS -= {'self', 'kwargs', 'file_client_args'}

INTERRUPTED_NAME = 'interrupted.pth'


def _gradient_file(path: str, iters: Union[int, str]) -> str:
    """Where this process saves gradients that belong to a checkpoint."""
    return f'{path}.gradients_{iters}_rank{get_rank()}'


def _to_cpu(state):
    return apply_to(state, lambda x: hasattr(x, 'cpu'), lambda x: x.cpu())


def _schedulers_state(runner):
    schedulers = runner.param_schedulers
    if isinstance(schedulers, dict):
        return {k: [s.state_dict() for s in v] for k, v in schedulers.items()}
    return [s.state_dict() for s in schedulers or []]


def collect_checkpoint(runner,
                       meta: dict,
                       *,
                       weights: dict,
                       optimizer: Optional[dict],
                       schedulers: bool,
                       ranks: Optional[List[dict]] = None) -> dict:
    """Everything a checkpoint holds; tensors are not copied on the CPU.

    Args:
        runner (Runner): The runner.
        meta (dict): ``epoch`` and ``iter`` to go on with.
        weights (dict): Of the model.
        optimizer (dict, optional): The optimizer's state.
        schedulers (bool): With the schedulers' state.
        ranks (list[dict], optional): State of every process, for resuming.
    """
    # formatting a config takes a tenth of a second and more; it is done once
    info = runner.message_hub.runtime_info
    meta = dict(
        meta,
        cfg=info['cfg'] if 'cfg' in info else runner.cfg.pretty_text,
        seed=runner.seed,
        experiment_name=runner.experiment_name,
        time=time.strftime('%Y%m%d_%H%M%S'),
        mmengine_version=mmengine.__version__)
    dataset = runner.train_dataloader.dataset
    if hasattr(dataset, 'metainfo'):
        meta['dataset_meta'] = dataset.metainfo
    checkpoint = dict(
        meta=meta,
        state_dict=weights_to_cpu(weights),
        message_hub=_to_cpu(runner.message_hub.state_dict()))
    if optimizer is not None:
        checkpoint['optimizer'] = _to_cpu(optimizer)
    if schedulers:
        checkpoint['param_schedulers'] = _schedulers_state(runner)
    if ranks is not None:
        loop = runner.train_loop
        checkpoint['run_state'] = dict(
            ranks=ranks,
            loop=loop.state_dict() if hasattr(loop, 'state_dict') else None)
    return checkpoint


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """``CheckpointHook`` after which there is always a whole checkpoint.

    A file is written under a temporary name, flushed to the disk and renamed;
    only then ``last_checkpoint`` names it and older ones are removed.  With
    the weights go the random state of every process, the position in the
    data and the gradients of an unfinished accumulation, so that a resumed
    run gives the uninterrupted run's weights.

    The arguments are those of MMEngine's ``CheckpointHook``; a name it does
    not know raises.  Only local folders are supported.

    Raises:
        TypeError: If an argument is unknown.
        ValueError: If ``out_dir`` is not a local folder.
        OSError: When saving fails (disk full, ...), in every process.  What
            had been saved before is untouched.
    """

    def __init__(self, **kwargs) -> None:
        unknown = set(kwargs) - _ARGUMENTS
        if unknown:
            raise TypeError(f'AtomicCheckpointHook has no argument '
                            f'{sorted(unknown)}; it has {sorted(_ARGUMENTS)}')
        super().__init__(**kwargs)
        self._resumed_ranks: Optional[list] = None
        self._saved_at = -1
        self._training = False

    # ------------------------------------------------------------ resuming
    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Keep what has to be put back when the training goes on."""
        state = checkpoint.get('run_state')
        if not runner._resume:
            return
        if state is None:
            runner.logger.warning(
                'the checkpoint holds no random state and no position in the '
                'data: the run is resumed, but not exactly')
            return
        self._resumed_ranks = state['ranks']
        if state['loop'] and hasattr(runner.train_loop, 'load_state_dict'):
            runner.train_loop.load_state_dict(state['loop'])

    def before_train(self, runner) -> None:
        """Prepare the folder; put the state of this process back."""
        self._training = True
        super().before_train(runner)
        if not isinstance(self.file_backend, LocalBackend):
            raise ValueError(f'{self.out_dir} is not a local folder; '
                             'AtomicCheckpointHook cannot rename there')
        if is_main_process():
            os.makedirs(self.out_dir, exist_ok=True)
            remove_leftovers(self.out_dir)
            self._remove_lone_gradients()
        if self.max_keep_ckpts > 0:  # one more while the new is written
            self.keep_ckpt_ids = deque(self.keep_ckpt_ids)
        if self._resumed_ranks is not None:
            self.last_ckpt = runner.message_hub.runtime_info.get('last_ckpt')
            path = runner._load_from or self.last_ckpt or ''
            restore_rank_state(runner, self._resumed_ranks, osp.dirname(path))
            self._resumed_ranks = None

    def after_train(self, runner) -> None:
        """The last checkpoint is saved."""
        super().after_train(runner)
        self._training = False

    # -------------------------------------------------------------- saving
    def _write(self, runner, name: str, meta: dict, *, optimizer: bool,
               schedulers: bool, resumable: bool) -> str:
        """Write one file; all processes take part, all raise."""
        path = osp.join(self.out_dir, name)
        forget_old_scalars(runner)
        ranks, errors = None, []
        if resumable:
            gathered = gather_object(self._rank_state(runner, path, meta))
            if is_main_process():
                ranks = [state for state, _ in gathered]
                errors = [error for _, error in gathered if error]
        sharded = isinstance(runner.model, ShardedDataParallel)
        if sharded:
            runner.call_hook('gather_shards')
        if is_main_process() or sharded:
            weights, state = whole_states(
                runner.model, runner.optim_wrapper, optimizer=optimizer)
        if is_main_process() and not errors:
            checkpoint = collect_checkpoint(
                runner,
                meta,
                weights=weights,
                optimizer=state if optimizer else None,
                schedulers=schedulers,
                ranks=ranks)
            runner.call_hook('before_save_checkpoint', checkpoint=checkpoint)
            # hooks put their own tensors there, averaging does
            checkpoint = _to_cpu(checkpoint)
            try:
                save_checkpoint_file(checkpoint, path)
            except OSError as e:
                errors.append(e.strerror or str(e))
        outcome = [errors]
        broadcast_object_list(outcome)
        if outcome[0]:
            last = runner.message_hub.runtime_info.get('last_saved')
            raise OSError(f'{path} could not be written: {outcome[0][0]}. ' +
                          (f'The checkpoint before it is whole: {last}; make '
                           'room and start again with --resume'
                           if last else 'There is none before it.'))
        self._remove_gradients(path, but=meta['iter'])
        return path

    @staticmethod
    def _rank_state(runner, path: str,
                    meta: dict) -> Tuple[dict, Optional[str]]:
        """State of this process, and why its gradients were not saved.

        Of several processes each writes those of an unfinished accumulation
        to a file of its own: gathered, all of them would be in one process's
        memory, over NCCL on its GPU.
        """
        state = capture_rank_state(runner)
        if 'gradients' not in state or runner.world_size == 1:
            return state, None
        file = _gradient_file(path, meta['iter'])
        try:
            save_checkpoint_file(state.pop('gradients'), file)
        except OSError as e:
            return state, e.strerror or str(e)
        return dict(state, gradient_file=osp.basename(file)), None

    def _remove_lone_gradients(self) -> None:
        """Remove gradients whose checkpoint a killed run did not finish, or
        had removed already."""
        for file in glob.glob(
                osp.join(glob.escape(self.out_dir), '*.gradients_*')):
            if not osp.isfile(file.split('.gradients_')[0]):
                os.remove(file)

    @staticmethod
    def _remove_gradients(path: str, but: Optional[int] = None) -> None:
        """Remove what this process saved beside a checkpoint."""
        for file in glob.glob(_gradient_file(glob.escape(path), '*')):
            if but is None or file != _gradient_file(path, but):
                os.remove(file)

    def _write_resumable(self, runner, name: str, meta: dict) -> None:
        self.last_ckpt = osp.join(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        self._write(
            runner,
            name,
            meta,
            optimizer=self.save_optimizer,
            schedulers=self.save_param_scheduler,
            resumable=True)
        runner.message_hub.update_info('last_saved', self.last_ckpt)
        if is_main_process():
            write_text(
                self.last_ckpt,
                osp.join(runner.work_dir, 'last_checkpoint'),
                durable=True)
        self._saved_at = meta['iter']

    def _save_checkpoint_with_step(self, runner, step, meta) -> None:
        self._remember(runner, step)
        self._write_resumable(runner, self.filename_tmpl.format(step), meta)
        self._prune(runner)

    def _remember(self, runner, step: int) -> None:
        """Note the step before writing, so that the file knows itself.

        A run killed between writing and pruning then finds one name too many
        in the list and removes that file when it is resumed.
        """
        if self.max_keep_ckpts > 0:
            if not self.keep_ckpt_ids or self.keep_ckpt_ids[-1] != step:
                self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids',
                                           list(self.keep_ckpt_ids))

    def _prune(self, runner) -> None:
        """Remove what is no longer wanted, now that the new one is there."""
        outdated = [INTERRUPTED_NAME]
        if self.max_keep_ckpts > 0:
            while len(self.keep_ckpt_ids) > self.max_keep_ckpts:
                outdated.append(
                    self.filename_tmpl.format(self.keep_ckpt_ids.popleft()))
            runner.message_hub.update_info('keep_ckpt_ids',
                                           list(self.keep_ckpt_ids))
        for name in outdated:
            self._remove(osp.join(self.out_dir, name))

    def _remove(self, path: str) -> None:
        if is_main_process() and osp.isfile(path):
            os.remove(path)
        self._remove_gradients(path)

    def save_interrupted(self, runner, meta: Dict[str, int]) -> str:
        """Save at once, under a name of its own, unless it is saved already.

        Args:
            runner (Runner): The runner.
            meta (dict): ``epoch`` and ``iter`` to go on with.

        Returns:
            str: The checkpoint that ``--resume`` will take.
        """
        if self._saved_at != meta['iter']:
            self._write_resumable(runner, INTERRUPTED_NAME, meta)
        return self.last_ckpt

    # ------------------------------------------------------ the best so far
    def after_val_epoch(self, runner, metrics) -> None:
        """Note that this validation is done, then keep the best.

        ``runner.val()`` before or after the training saves nothing.
        """
        if not self._training:
            return
        if hasattr(runner.train_loop, 'validated_at'):
            runner.train_loop.validated_at = runner.iter
        super().after_val_epoch(runner, metrics)

    def _save_best_checkpoint(self, runner, metrics) -> None:
        if not self.save_best:
            return
        if 'auto' in self.key_indicators:
            self._init_rule(self.rules, [list(metrics)[0]])
        meta = dict(epoch=runner.epoch, iter=runner.iter)
        step = runner.epoch if self.by_epoch else runner.iter
        improved = [
            self._update_best(runner, key, rule, metrics, step, meta)
            for key, rule in zip(self.key_indicators, self.rules)
        ]
        # the last checkpoint must know the best one
        if any(improved) and self.last_ckpt is not None:
            self._save_checkpoint_with_step(runner, step, meta)

    def _update_best(self, runner, key: str, rule: str, metrics: dict,
                     step: int, meta: dict) -> bool:
        """Keep this state if it is the best yet by one metric."""
        if key not in metrics:
            raise KeyError(f'save_best={key!r}, but the validation gives '
                           f'{sorted(metrics)}')
        single = len(self.key_indicators) == 1
        suffix = '' if single else f'_{key}'
        info = runner.message_hub.runtime_info
        score = metrics[key]
        best = info.get(f'best_score{suffix}', self.init_value_map[rule])
        if score is None or not self.is_better_than[key](score, best):
            return False
        name = f'best_{key}_{self.filename_tmpl.format(step)}'
        name = name.replace('/', '_')
        path = self._write(
            runner,
            name,
            meta,
            optimizer=False,
            schedulers=False,
            resumable=False)
        old = info.get(f'best_ckpt{suffix}')
        runner.message_hub.update_info(f'best_score{suffix}', score)
        runner.message_hub.update_info(f'best_ckpt{suffix}', path)
        if single:
            self.best_ckpt_path = path
        else:
            self.best_ckpt_path_dict[key] = path
        # in a folder that has been moved; never in that of another run, from
        # which this one was resumed
        old = old and osp.join(self.out_dir, osp.basename(old))
        if old and old != path:
            self._remove(old)
        runner.logger.info(f'best {key} so far, {score:.4f}: {path}')
        return True
