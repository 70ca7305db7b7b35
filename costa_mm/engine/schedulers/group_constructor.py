# Copyright (c) costa_mm authors. All rights reserved.
"""Parameters in named groups, by the start of their names."""
from copy import deepcopy
from typing import Dict, List, Optional

from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import nn
from torch.optim import Optimizer

from costa_mm.registry import (OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS,
                               OPTIMIZERS)
from ..run_state import unwrapped
from ..sharding import whole_name

REST = 'rest'


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class GroupOptimWrapperConstructor:
    """Builds an optimizer whose parameter groups have names.

    MMEngine's default constructor makes one nameless group per parameter;
    with names, :class:`GroupwiseLR` can schedule parts of a model apart, and
    with few groups fused optimizers are fast.  Frozen parameters are left
    out; what no group takes is the group 'rest'.

    Args:
        optim_wrapper_cfg (dict): With 'optimizer', and optionally 'type'.
        paramwise_cfg (dict): ``groups``: by name, a dict with ``prefixes``
            (parameters whose name starts with one of them, or with the only
            one; the first group that matches takes it) and options of the
            group such as ``lr``.

    Raises:
        ValueError: If the config is not of this form, or, when called, if a
            group takes no trainable parameter or has an option that the
            optimizer does not know.
    """

    def __init__(self,
                 optim_wrapper_cfg: dict,
                 paramwise_cfg: Optional[dict] = None) -> None:
        paramwise_cfg = paramwise_cfg or {}
        unknown = set(paramwise_cfg) - {'groups'}
        if unknown:
            raise ValueError('paramwise_cfg knows groups only, not '
                             f'{sorted(unknown)}')
        if 'optimizer' not in optim_wrapper_cfg:
            raise ValueError('optim_wrapper needs an optimizer')
        self.groups: Dict[str, dict] = {}
        for name, group in paramwise_cfg.get('groups', {}).items():
            prefixes = group.get('prefixes')
            if not prefixes:
                raise ValueError(f'group {name!r} needs prefixes')
            if isinstance(prefixes, str):
                prefixes = (prefixes, )
            self.groups[name] = dict(group, prefixes=tuple(prefixes))
        self.wrapper_cfg = deepcopy(dict(optim_wrapper_cfg))
        self.optimizer_cfg = self.wrapper_cfg.pop('optimizer')

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer wrapper of a model."""
        optimizer = OPTIMIZERS.build({
            **self.optimizer_cfg, 'params': self.split(unwrapped(model))
        })
        self._check_options(optimizer)
        cfg = {'type': 'OptimWrapper', **self.wrapper_cfg}
        return OPTIM_WRAPPERS.build(cfg, default_args=dict(
            optimizer=optimizer))

    def _check_options(self, optimizer: Optimizer) -> None:
        """Refuse what the optimizer would keep and never read."""
        for name, group in self.groups.items():
            unknown = sorted(set(group) - {'prefixes', *optimizer.defaults})
            if unknown:
                hint = ''.join(
                    f'; give {k[:-5]} itself in place of {k}'
                    for k in unknown if k.endswith('_mult'))
                raise ValueError(
                    f'group {name!r} has {unknown}, which '
                    f'{type(optimizer).__name__} does not know: it has '
                    f'{sorted(optimizer.defaults)}{hint}')

    def split(self, model: nn.Module) -> List[dict]:
        """Parameter groups of a model, each with its 'name'."""
        params: Dict[str, list] = {name: [] for name in self.groups}
        params[REST] = []
        for name, param in model.named_parameters():
            if param.requires_grad:
                params[self._group_of(whole_name(name))].append(param)
        out = []
        for name, members in params.items():
            options = {
                k: v
                for k, v in self.groups.get(name, {}).items()
                if k != 'prefixes'
            }
            if not members and name != REST:
                raise ValueError(
                    f'group {name!r} takes no trainable parameter: none '
                    f'starts with {self.groups[name]["prefixes"]}')
            if members:
                out.append(dict(params=members, name=name, **options))
        print_log(
            'parameter groups: ' + ', '.join(
                f'{g["name"]} {sum(p.numel() for p in g["params"]):,}'
                for g in out),
            logger='current')
        return out

    def _group_of(self, param: str) -> str:
        for name, group in self.groups.items():
            if param.startswith(group['prefixes']):
                return name
        return REST
