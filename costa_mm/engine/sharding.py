# Copyright (c) costa_mm authors. All rights reserved.
"""Training with weights, gradients and moments spread over the processes."""
from contextlib import contextmanager, nullcontext
from functools import wraps
from itertools import chain
from typing import ContextManager, Dict, Iterator, List, Optional, Tuple, Union

import torch
from mmengine.dist import broadcast
from mmengine.model.wrappers import MMFullyShardedDataParallel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn
from torch.distributed.fsdp import (FullOptimStateDictConfig,
                                    FullStateDictConfig,
                                    FullyShardedDataParallel, StateDictType)
from torch.nn.utils import clip_grad_norm_

from costa_mm.registry import MODEL_WRAPPERS

_UNIT = '_fsdp_wrapped_module.'


def whole_name(name: str) -> str:
    """A parameter's name without what FSDP puts between its parts."""
    return name.replace(_UNIT, '')


@MODEL_WRAPPERS.register_module()
class ShardedDataParallel(MMFullyShardedDataParallel):
    """PyTorch's FSDP whose checkpoints are those of an ordinary run.

    MMEngine's wrapper trains; its runner lets one process alone ask for the
    weights, which all have to do together, and initialises what has been cut
    to pieces.  :class:`STVGRunner` does both in the right way with this one.

    Args:
        module (nn.Module): The model, with its initial weights; those of
            the first process count.
        auto_wrap_policy (str or Callable): What is sharded together.
            Defaults to 'grounder_wrap_policy'.
        **kwargs: As for ``MMFullyShardedDataParallel``.

    Raises:
        ValueError: With ``use_orig_params=False``, which parameter groups by
            name cannot do with.
    """

    def __init__(self,
                 module: nn.Module,
                 auto_wrap_policy='grounder_wrap_policy',
                 **kwargs) -> None:
        if not kwargs.get('use_orig_params', True):
            raise ValueError('model_wrapper_cfg: use_orig_params=False cannot '
                             'be resumed; leave it out')
        device = torch.device('cuda', torch.cuda.current_device()) \
            if torch.cuda.is_available() else torch.device('cpu')
        # FSDP's sync_module_states refuses weights on the CPU
        for tensor in chain(module.parameters(), module.buffers()):
            broadcast(tensor.data)
        # FSDP looks for its weights in the state dict, which a frozen text
        # encoder stays out of
        kept = module.state_dict()
        left_out = [p for n, p in module.named_parameters() if n not in kept]
        super().__init__(
            module,
            auto_wrap_policy=auto_wrap_policy,
            **{
                'device_id': device,
                **kwargs, 'ignored_states':
                [*(kwargs.get('ignored_states') or ()), *left_out]
            })

    def no_sync(self) -> ContextManager:
        """Nothing: gradients are reduced after every batch.

        FSDP would keep whole ones in every process until the update, which
        takes the memory that sharding saves.
        """
        return nullcontext()

    def _states(self, *, all_ranks: bool) -> ContextManager:
        """States are whole, on the CPU; of the first process or of all."""
        # where they are there already, moving reads what FSDP has freed and
        # ends in a segmentation fault (torch 2.13)
        options = dict(
            offload_to_cpu=torch.cuda.is_available(),
            rank0_only=not all_ranks)
        return self.state_dict_type(self, StateDictType.FULL_STATE_DICT,
                                    FullStateDictConfig(**options),
                                    FullOptimStateDictConfig(**options))

    def whole_weights(self) -> Dict[str, Tensor]:
        """Gather the weights; every process has to call it.

        Returns:
            dict[str, Tensor]: Under the names of the bare model, on the CPU,
            in the first process; nothing in the others.
        """
        with self._states(all_ranks=False):
            return self.state_dict()

    @contextmanager
    def loading(self) -> Iterator[nn.Module]:
        """``load_state_dict`` of what is yielded takes whole weights."""
        with self._states(all_ranks=True):
            yield self

    def drop_gathered(self) -> None:
        """Free gathered weights, which a change of the shards would not reach.

        After a forward without a backward FSDP keeps those of the outermost
        unit, and goes on with them.
        """
        if self._is_root is None:  # nothing has been gathered yet
            return
        for unit in FullyShardedDataParallel.fsdp_modules(self):
            handle = unit._handle
            if handle is not None and handle.uses_sharded_strategy \
                    and not handle.needs_unshard():
                handle.reshard(True)

    # ----------------------------------------------------------- optimizers
    def _names(self, wrapper: OptimWrapper) -> List[str]:
        """Names of an optimizer's parameters, in the order of their numbers.
        """
        names = {
            id(p): whole_name(name)
            for name, p in self.module.named_parameters()
        }
        return [
            names[id(p)] for group in wrapper.optimizer.param_groups
            for p in group['params']
        ]

    def whole_optimizer_state(self, wrapper: OptimWrapper) -> dict:
        """Gather an optimizer's state; every process has to call it.

        Returns:
            dict: What the wrapper's ``state_dict`` gives in an ordinary run,
            on the CPU, in the first process; nothing in the others.
        """
        with self._states(all_ranks=False):
            whole = self.optim_state_dict(self, wrapper.optimizer)
        if not whole:
            return {}
        numbers = {n: i for i, n in enumerate(self._names(wrapper))}
        state = sorted((numbers[n], v) for n, v in whole['state'].items())
        return dict(wrapper.state_dict(), state=dict(state))

    def own_optimizer_state(self, state: dict, wrapper: OptimWrapper) -> dict:
        """Cut this process's part out of an optimizer's state.

        Args:
            state (dict): From :meth:`whole_optimizer_state`, or of an
                ordinary run; the same in all processes.
            wrapper (OptimWrapper): The optimizer that is to take it.

        Returns:
            dict: For the wrapper's ``load_state_dict``.
        """
        names = self._names(wrapper)
        named = dict(
            state={names[i]: v for i, v in state['state'].items()},
            param_groups=[
                dict(group, params=[names[i] for i in group['params']])
                for group in state['param_groups']
            ])
        with self._states(all_ranks=True):
            own = self.optim_state_dict_to_load(
                self, wrapper.optimizer, named)
        return dict(state, state=own['state'])

    def attach(self, wrapper: Union[OptimWrapper, OptimWrapperDict]) -> None:
        """Let an optimizer clip by the norm of the whole gradients.

        Raises:
            ValueError: If there are several optimizers, or one that scales
                the loss, which would look at a part of the gradients only.
        """
        if isinstance(wrapper, OptimWrapperDict):
            raise ValueError('sharded training has one optimizer, and '
                             'optim_wrapper gives several')
        scaler = getattr(wrapper, 'loss_scaler', None)
        if scaler is not None and scaler.is_enabled():
            raise ValueError(
                'sharded training cannot scale the loss: set optim_wrapper.'
                "dtype='bfloat16', or train in 32 bits")
        if getattr(wrapper, 'clip_func', None) is clip_grad_norm_:

            @wraps(clip_grad_norm_)
            def clip(parameters, max_norm, norm_type=2.0) -> Tensor:
                return self.clip_grad_norm_(max_norm, norm_type)

            wrapper.clip_func = clip


def sharding_cfg(cfg: Optional[dict]) -> Optional[dict]:
    """A ``model_wrapper_cfg`` as MMEngine finds it, if it is to shard.

    Args:
        cfg (dict, optional): From the config.

    Returns:
        dict or None: None for wrappers that do not shard.

    Raises:
        ValueError: If it is an FSDP whose checkpoints cannot be resumed.
    """
    name = (cfg or {}).get('type')
    if name is None:
        return None
    kind = MODEL_WRAPPERS.get(name)
    if kind is None or not issubclass(kind, FullyShardedDataParallel):
        return None
    if not issubclass(kind, ShardedDataParallel):
        raise ValueError(
            f'model_wrapper_cfg: checkpoints of {name} cannot be saved and '
            "resumed; set type='costa_mm.ShardedDataParallel'")
    # MMEngine looks into its own registry
    return dict(cfg, type=f'costa_mm.{kind.__name__}')


def whole_states(model: nn.Module, wrapper: OptimWrapper, *,
                 optimizer: bool) -> Tuple[dict, dict]:
    """Weights of a run and, if wanted, its optimizer's state.

    All processes of a sharded run have to call it.

    Args:
        model (nn.Module): As wrapped for training.
        wrapper (OptimWrapper): The optimizer.
        optimizer (bool): Whether its state is wanted.

    Returns:
        tuple[dict, dict]: Both; of a sharded run empty but in the first
        process.
    """
    if isinstance(model, ShardedDataParallel):
        return model.whole_weights(), model.whole_optimizer_state(
            wrapper) if optimizer else {}
    bare = getattr(model, 'module', model)
    return bare.state_dict(), wrapper.state_dict() if optimizer else {}
