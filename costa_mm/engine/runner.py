# Copyright (c) costa_mm authors. All rights reserved.
"""MMEngine's runner, for any device and for runs that are interrupted."""
import copy
import logging
import os
from contextlib import nullcontext
from typing import Callable, ContextManager, Dict, Optional, Sequence, Union

import torch
from mmengine.dist import (broadcast_object_list, is_distributed,
                           is_main_process)
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import BaseLoop, Runner
from torch import nn
from torch.optim import Optimizer

from costa_mm.compat import cpu_model_wrapper, init_dist_without_cuda
from costa_mm.datasets.samplers import EpochSampler
from costa_mm.datasets.wrappers import warn_of_lost_epochs
from costa_mm.registry import RUNNERS
from costa_mm.utils import write_text
from costa_mm.utils.building import weights_follow
from costa_mm.weights import load_initial_weights
from .checkpoint_io import latest_checkpoint, load_weights, read_checkpoint
from .config import settle_workers
from .launch import DEFAULT_TIMEOUT
from .quiet import (environment_text, hide_inner_deprecations, speak_once,
                    without_inner_warnings)
from .resuming import apply_options, check_resumable, options_of
from .run_state import unwrapped
from .sharding import ShardedDataParallel, sharding_cfg
from .truth import check_truth
from .work_lock import FolderInUseError, hold_folder, release_folder

# seconds without a batch after which a data loader gives up
LOADER_TIMEOUT = 1800


def _end_workers(*loops: Union[BaseLoop, Dict, None]) -> None:
    """End data workers that persist.

    Left to the garbage collector, which closes their queues first, each of
    them would be waited for in vain for five seconds.
    """
    for loop in loops:
        loader = getattr(loop, 'dataloader', None)
        iterator = getattr(loader, '_iterator', None)
        if iterator is not None:
            iterator._shutdown_workers()
            loader._iterator = None


@RUNNERS.register_module()
class STVGRunner(Runner):
    """Runner of the tools.  The arguments are those of MMEngine's Runner.

    It differs in these points:

    - ``launcher='pytorch'`` works without CUDA (gloo).
    - Training loops can be resumed in the middle of an epoch.
    - A checkpoint of another model is an error, not a warning.
    - ``auto_scale_lr`` counts gradient accumulation.
    - Settings that differ from those of a resumed run are listed, and a new
      learning rate counts.
    - A work folder is one run's at a time.
    - A hanging rank or data worker ends the run in bounded time.
    - Losses are read from the device when they are logged, and frames are
      copied to it while it computes.
    - The log begins with the figures: environment and config are in files.
    """

    def register_default_hooks(self, hooks: Optional[Dict] = None) -> None:
        """Register default hooks; the losses are logged without waiting."""
        info = dict(type='costa_mm.STVGRuntimeInfoHook')
        super().register_default_hooks({'runtime_info': info, **(hooks or {})})

    def setup_env(self, env_cfg: Dict) -> None:
        """Set up the environment; without CUDA the backend is gloo.

        ``allow_tf32`` of ``env_cfg`` says whether a GPU may multiply float32
        matrices in TF32; PyTorch's setting stays where it says nothing.
        """
        if torch.cuda.is_available() and 'allow_tf32' in env_cfg:
            torch.backends.cuda.matmul.allow_tf32 = env_cfg['allow_tf32']
            torch.backends.cudnn.allow_tf32 = env_cfg['allow_tf32']
        dist_cfg = dict(env_cfg.get('dist_cfg') or {})
        dist_cfg.setdefault('timeout', DEFAULT_TIMEOUT)
        if (self.distributed and not is_distributed()
                and not torch.cuda.is_available()):
            init_dist_without_cuda(self.launcher, dist_cfg['timeout'])
        if self.distributed:
            speak_once()
        super().setup_env({**env_cfg, 'dist_cfg': dist_cfg})
        if self._train_dataloader is not None:
            self._hold_work_dir()

    def build_logger(self, *args, **kwargs) -> logging.Logger:
        """Build the logger; see MMEngine."""
        logger = super().build_logger(*args, **kwargs)
        hide_inner_deprecations(logger)
        return logger

    def _log_env(self, env_cfg: Dict) -> None:
        """Tell in two lines what runs, and all of it in a file."""
        path = os.path.join(self._log_dir, 'environment.txt')
        if is_main_process():
            write_text(
                environment_text(**env_cfg, **self._randomness_cfg,
                                 launcher=self._launcher,
                                 processes=self._world_size), path)
        name = os.path.basename(self.cfg.filename or f'{self.timestamp}.py')
        self.logger.info(
            f'{self._world_size} process(es), seed {self._seed}, torch '
            f'{torch.__version__}; all of the environment: {path}')
        self.logger.info(f'config: {os.path.join(self.work_dir, name)}')

    def get_hooks_info(self) -> str:
        """The hooks in their order, on one line."""
        return ', '.join(type(hook).__name__ for hook in self._hooks)

    def _hold_work_dir(self) -> None:
        """Let no other run train in the folder; all processes agree."""
        error = [None]
        if is_main_process():
            try:
                hold_folder(self.work_dir)
            except FolderInUseError as e:
                error = [str(e)]
        broadcast_object_list(error)
        if error[0] is not None:
            raise FolderInUseError(error[0])

    def train(self) -> nn.Module:
        """Train; the work folder is this run's until then."""
        try:
            return super().train()
        finally:
            release_folder(self.work_dir)
            _end_workers(self._train_loop, self._val_loop)

    def val(self) -> dict:
        """Validate; returns the metrics."""
        try:
            return super().val()
        finally:
            _end_workers(self._val_loop)

    def test(self) -> dict:
        """Test; returns the metrics."""
        try:
            return super().test()
        finally:
            _end_workers(self._test_loop)

    def build_model(self, model: Union[nn.Module, Dict]) -> nn.Module:
        """Build the model; weights that a checkpoint brings are not fetched.
        """
        whole = isinstance(self._load_from, str) and (
            self._resume or self._train_loop is None)
        with weights_follow(whole):
            return super().build_model(model)

    def wrap_model(self, model_wrapper_cfg: Optional[Dict],
                   model: nn.Module) -> nn.Module:
        """Wrap for distributed training; no device ids without CUDA.

        What is to be sharded gets its initial weights first.  Tests need no
        shards, and their processes have unequal numbers of videos.
        """
        shards = sharding_cfg(model_wrapper_cfg)
        if shards is not None:
            if self.distributed and self._train_loop is not None:
                model.init_weights()
                with without_inner_warnings():
                    return super().wrap_model(shards, model)
            model_wrapper_cfg = None
        if self.distributed and not torch.cuda.is_available():
            model_wrapper_cfg = cpu_model_wrapper(
                model_wrapper_cfg,
                find_unused_parameters=self.cfg.get('find_unused_parameters',
                                                    False))
        with without_inner_warnings():
            return super().wrap_model(model_wrapper_cfg, model)

    def _init_model_weights(self) -> None:
        """Initialise the weights; shards have been before they were cut."""
        if not isinstance(self.model, ShardedDataParallel):
            super()._init_model_weights()

    def build_optim_wrapper(
            self, optim_wrapper: Union[Optimizer, OptimWrapper, Dict]
    ) -> Union[OptimWrapper, OptimWrapperDict]:
        """Build the optimizer; that of a sharded model clips for all."""
        wrapper = super().build_optim_wrapper(optim_wrapper)
        if isinstance(self.model, ShardedDataParallel):
            self.model.attach(wrapper)
        return wrapper

    def build_train_loop(self, loop: Union[BaseLoop, Dict]) -> BaseLoop:
        """Build the training loop, by default one that resumes exactly."""
        if isinstance(loop, dict) and 'type' not in loop:
            loop = copy.deepcopy(dict(loop))
            by_epoch = loop.pop('by_epoch', True)
            name = 'Epoch' if by_epoch else 'Iter'
            loop['type'] = f'costa_mm.Resumable{name}TrainLoop'
        return super().build_train_loop(loop)

    def build_val_loop(self, loop: Union[BaseLoop, Dict]) -> BaseLoop:
        """Build the validation loop; its split can be scored.

        Processes that share a sharded model have equally many batches.
        """
        loop = check_truth(super().build_val_loop(loop))
        sampler = loop.dataloader.sampler
        if isinstance(self.model, ShardedDataParallel) and isinstance(
                sampler, EpochSampler):
            sampler.round_up = True
            sampler.batch_size = loop.dataloader.batch_size or 1
        return loop

    def build_test_loop(self, loop: Union[BaseLoop, Dict]) -> BaseLoop:
        """Build the test loop; its split can be scored if it is."""
        return check_truth(super().build_test_loop(loop))

    @staticmethod
    def build_dataloader(dataloader, seed=None, diff_rank_seed=False):
        """Build a data loader that does not wait for ever for a worker.

        A dataset whose config gives no ``seed`` gets the run's.
        """
        if not isinstance(dataloader, dict):
            return Runner.build_dataloader(dataloader, seed, diff_rank_seed)
        dataloader = settle_workers({
            'timeout': LOADER_TIMEOUT,
            'pin_memory': torch.cuda.is_available(),
            **dataloader
        })
        loader = Runner.build_dataloader(dataloader, seed, diff_rank_seed)
        given = isinstance(dataloader['dataset'],
                           dict) and 'seed' in dataloader['dataset']
        if seed is not None and not given and hasattr(loader.dataset, 'seed'):
            loader.dataset.seed = seed  # our wrappers hand it on
        warn_of_lost_epochs(loader.dataset)
        return loader

    def scale_lr(self,
                 optim_wrapper: OptimWrapper,
                 auto_scale_lr: Optional[Dict] = None) -> None:
        """Scale learning rates with the batch size of one *update*.

        That is processes x batch size x accumulated iterations; MMEngine
        leaves out the last factor.
        """
        if not (auto_scale_lr or {}).get('enable', False):
            return
        loader = self._train_dataloader
        batch = loader['batch_size'] if isinstance(
            loader, dict) else loader.batch_size
        wrappers = list(optim_wrapper.values()) if isinstance(
            optim_wrapper, OptimWrapperDict) else [optim_wrapper]
        for wrapper in wrappers:
            real = self.world_size * batch * wrapper._accumulative_counts
            base = auto_scale_lr['base_batch_size']
            ratio = real / base
            self.logger.info(
                f'learning rates are meant for {base} samples per update, '
                f'here are {real}: scaled by {ratio:g}')
            for group in wrapper.param_groups:
                group['lr'] *= ratio

    def load_or_resume(self) -> None:
        """Load or resume; ``resume=True`` means the last checkpoint.

        Without one, the run begins, from the parts of ``load_from`` if it is
        a list of them.
        """
        if self._resume and not self._has_loaded and not isinstance(
                self._load_from, str):
            last = latest_checkpoint(self.work_dir)
            self._resume = last is not None
            self._load_from = last or self._load_from
        super().load_or_resume()

    def resume(self, filename: str, *args, **kwargs) -> None:
        """Go on with a run; see MMEngine.

        Learning rates and other options of the optimizer are those of the
        config of now, whatever they were.
        """
        self._load_from = filename
        options = options_of(self.optim_wrapper)
        super().resume(filename, *args, **kwargs)
        apply_options(self, options)

    def _loading(self) -> ContextManager[nn.Module]:
        """What takes whole weights."""
        if isinstance(self.model, ShardedDataParallel):
            return self.model.loading()
        return nullcontext(unwrapped(self.model))

    def load_checkpoint(self,
                        filename: Union[str, Sequence[dict]],
                        map_location: Union[str, Callable] = 'cpu',
                        strict: bool = False,
                        revise_keys: list = []) -> dict:
        """Load weights; a checkpoint of another model is an error.

        Testing and resuming need every weight of the model in the file.
        Training from ``load_from`` may start from a part of them, or from a
        list of pretrained parts (see
        :func:`costa_mm.weights.load_initial_weights`).

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file is no checkpoint, or of another model.
        """
        if not isinstance(filename, str):  # parts of initial weights
            with self._loading() as target:
                checkpoint = load_initial_weights(target, filename)
            self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
            self._has_loaded = True
            return checkpoint
        checkpoint = read_checkpoint(filename, map_location)
        if self._resume:
            check_resumable(self, checkpoint, filename)
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        training = isinstance(self._train_loop, BaseLoop)
        with self._loading() as target:
            load_weights(
                target,
                checkpoint,
                filename,
                whole=strict or self._resume or not training,
                revise_keys=revise_keys)
        if self._resume and isinstance(self.model, ShardedDataParallel):
            checkpoint['optimizer'] = self.model.own_optimizer_state(
                checkpoint['optimizer'], self.optim_wrapper)
        self._has_loaded = True
        shown = filename.encode('utf-8', 'backslashreplace').decode()
        self.logger.info(f'Load checkpoint from {shown}')
        return checkpoint


