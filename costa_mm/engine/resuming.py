# Copyright (c) costa_mm authors. All rights reserved.
"""A run that goes on with settings other than those it began with."""
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor

from .checkpoint_io import check_finite
from .config import known_keys

# settings of one start, not of the run
_OF_A_START = ('load_from', 'resume', 'work_dir', 'launcher', 'log_level',
               'experiment_name')
_SEEDS = ('randomness.seed', 'train_dataloader.sampler.seed',
          'train_dataloader.dataset.seed')
_ABSENT = '(absent)'


class Change(NamedTuple):
    """A setting that differs from the one that a run began with.

    Attributes:
        key (str): Dotted.
        old (Any): In the checkpoint's config.
        new (Any): In the config of now.
        kept (bool): Whether the checkpoint's value counts.
    """
    key: str
    old: Any
    new: Any
    kept: bool

    def __str__(self) -> str:
        counts = "the checkpoint's value" if self.kept else 'the new value'
        return f'{self.key}: {self.old!r} -> {self.new!r}, {counts} counts'


def _leaves(value: Any, key: str = '') -> Iterator[Tuple[str, Any]]:
    """Settings by dotted key; lists of dicts are gone through too."""
    if isinstance(value, dict) and value:
        items = value.items()
    elif isinstance(value, (list, tuple)) and any(
            isinstance(v, dict) for v in value):
        items = enumerate(value)
    else:
        yield key, list(value) if isinstance(value, tuple) else value
        return
    for name, inner in items:
        yield from _leaves(inner, f'{key}.{name}' if key else str(name))


def _is_kept(key: str, new: Config) -> bool:
    """Whether a resumed run takes a setting from its checkpoint.

    MMEngine's schedulers do so with all of their options, and the seed is
    part of the state of the generators.
    """
    if key in _SEEDS:
        return True
    parts = key.split('.')
    if parts[0] != 'param_scheduler':
        return False
    schedulers = new.get('param_scheduler') or []
    if isinstance(schedulers, dict):
        schedulers = [schedulers]
    index = int(parts[1]) if parts[1:] and parts[1].isdigit() else 0
    kind = schedulers[index].get('type') if index < len(schedulers) else None
    return str(kind).split('.')[-1] != 'GroupwiseLR'


def compare_configs(old: Config, new: Config) -> List[Change]:
    """What differs between the config of a checkpoint and that of now.

    Variables of a config that nothing reads, and settings of a single start
    such as the work folder, do not count.

    Args:
        old (Config): Of the checkpoint.
        new (Config): Of now.

    Returns:
        list[:obj:`Change`]: In order of the new config, then of the old one.
    """
    read = set(known_keys()) - set(_OF_A_START)
    before, now = (dict(
        _leaves({k: v for k, v in cfg.items() if k in read}))
                   for cfg in (old, new))
    return [
        Change(key, before.get(key, _ABSENT), now.get(key, _ABSENT),
               _is_kept(key, new)) for key in {**now, **before}
        if before.get(key, _ABSENT) != now.get(key, _ABSENT)
    ]


def check_resumable(runner, checkpoint: dict, path: str) -> None:
    """Tell what changed; refuse what cannot go on.

    Args:
        runner (Runner): With a built optimizer.
        checkpoint (dict): What the run is to go on with.
        path (str): Where it comes from, for messages.

    Raises:
        ValueError: If the file cannot be gone on with (a ``best_*.pth``
            holds weights only), the optimizer is another one, or the state
            holds NaN.
    """
    _check_complete(runner, checkpoint, path)
    _check_state(checkpoint, path)
    _drop_averages(runner, checkpoint, path)
    text = (checkpoint.get('meta') or {}).get('cfg')
    if not text:
        runner.logger.warning(f'{path} holds no config: whether settings '
                              'have changed cannot be told')
        return
    changes = compare_configs(
        Config.fromstring(text, file_format='.py'), runner.cfg)
    for change in changes:
        if change.key == 'optim_wrapper.optimizer.type':
            raise ValueError(
                f'--resume: {path} holds the state of {change.old}, and the '
                f'optimizer is now {change.new}: go on with {change.old}, or '
                'start anew from these weights with load_from')
    if changes:
        runner.logger.warning(
            f'--resume: settings differ from those of {path}:\n  ' +
            '\n  '.join(map(str, changes)))
    _check_groups(runner.optim_wrapper, checkpoint, path)


def _check_complete(runner, checkpoint: dict, path: str) -> None:
    """Refuse a file that would start the optimizer or its schedule anew."""
    meta = checkpoint.get('meta') or {}
    lacking = [f'meta.{k}' for k in ('epoch', 'iter') if k not in meta]
    lacking += [k for k in ('optimizer', 'message_hub') if k not in checkpoint]
    if runner.param_schedulers and 'param_schedulers' not in checkpoint:
        lacking.append('param_schedulers')
    if lacking:
        raise ValueError(
            f'--resume: {path} holds no {", ".join(lacking)}, as files of the '
            'best weights do, and those of a run that saves no optimizer: go '
            'on with the one that last_checkpoint names, or start anew from '
            'these weights with load_from')


def _drop_averages(runner, checkpoint: dict, path: str) -> None:
    """Go on with the trained weights where nothing averages any more."""
    averaged = checkpoint.get('ema_state_dict')
    if averaged is None or any(isinstance(h, EMAHook) for h in runner.hooks):
        return
    trained = {k.removeprefix('module.'): v for k, v in averaged.items()}
    checkpoint['state_dict'] = {
        k: trained.get(k, v)
        for k, v in checkpoint['state_dict'].items()
    }
    runner.logger.warning(
        f'{path} holds averaged weights beside the trained ones and the '
        'config of now averages nothing (it has no STVGEMAHook): the training '
        'goes on with the trained ones, the averages are dropped')


def _check_state(checkpoint: dict, path: str) -> None:
    """Refuse weights, averages and optimizer states that are not finite."""
    for key in ('state_dict', 'ema_state_dict'):
        check_finite(
            {
                k: v
                for k, v in checkpoint.get(key, {}).items()
                if isinstance(v, Tensor)
            }, path)
    states = checkpoint.get('optimizer', {}).get('state', {})
    check_finite(
        {
            f'optimizer state of parameter {i}, {k}': v
            for i, state in states.items() for k, v in state.items()
            if isinstance(v, Tensor)
        }, path)


def _check_groups(wrapper: OptimWrapper, checkpoint: dict, path: str) -> None:
    """Refuse other groups of parameters, of which torch says less."""
    saved = checkpoint.get('optimizer', {}).get('param_groups')
    if saved is None or isinstance(wrapper, OptimWrapperDict):
        return
    own, old = ([len(g['params']) for g in groups]
                for groups in (wrapper.optimizer.param_groups, saved))
    if own != old:
        raise ValueError(
            f'--resume: the optimizer has groups of {own} parameters and that '
            f'of {path} had {old}: other parts are trained or grouped; start '
            'anew from these weights with load_from')


def options_of(wrapper: OptimWrapper) -> List[Dict[str, Any]]:
    """Options of every parameter group, as the config of now gives them."""
    return [{k: v
             for k, v in group.items() if k != 'params'}
            for group in _groups(wrapper)]


def apply_options(runner, wanted: List[Dict[str, Any]]) -> None:
    """Let learning rates and other options of now count after resuming.

    A rate is scaled by the ratio of new and old base rates, so it goes on at
    its place of the schedule.  Where nothing has changed nothing happens.

    Args:
        runner (Runner): Resumed.
        wanted (list[dict]): From :func:`options_of`, before resuming.
    """
    groups = _groups(runner.optim_wrapper)
    for group, new in zip(groups, wanted):
        for key, value in new.items():
            first = f'initial_{key}'
            if key == 'lr':
                _scale_rate(group, new)
            elif not key.startswith('initial_') and first not in group:
                group[key] = value
    schedulers = runner.param_schedulers or []
    if isinstance(schedulers, dict):
        schedulers = [s for own in schedulers.values() for s in own]
    for scheduler in schedulers:
        first = f'initial_{scheduler.param_name}'
        scheduler.base_values = [
            g.get(first, base) for g, base in zip(
                scheduler.optimizer.param_groups, scheduler.base_values)
        ]


def _scale_rate(group: dict, new: Dict[str, Any]) -> None:
    before = group.get('initial_lr', group['lr'])
    now = new.get('initial_lr', new['lr'])
    if now != before:
        group['lr'] = group['lr'] * (now / before) if before else now
        if 'initial_lr' in group:
            group['initial_lr'] = now


def _groups(wrapper: OptimWrapper) -> List[dict]:
    if isinstance(wrapper, OptimWrapperDict):
        return [g for own in wrapper.values() for g in own.param_groups]
    return wrapper.param_groups
