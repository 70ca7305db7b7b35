# Copyright (c) costa_mm authors. All rights reserved.
"""Reading a config as the tools do: overrides, checks, switches."""
import difflib
import inspect
import os.path as osp
from typing import Iterable, Optional

from mmengine.config import Config
from mmengine.runner import Runner

from costa_mm.compat import import_mmcv_ops
from costa_mm.utils.configs import LOADERS, settle_preprocessor
from costa_mm.utils.files import check_folder, check_name
from costa_mm.weights import find_model
from .options import merge_options

# what Runner reads from the config besides its constructor's arguments
_EXTRA_KEYS = ('runner_type', 'custom_imports', 'sync_bn', 'compile',
               'find_unused_parameters', 'model_wrapper_cfg', 'gpu_ids',
               'activation_checkpointing', 'efficient_conv_bn_eval')
# a name this similar to a known one is taken for a slip of the pen
_SIMILAR = 0.8
_TYPES = (
    ('a dict', dict,
     ('model', 'optim_wrapper', 'default_hooks', 'env_cfg', 'randomness',
      'visualizer', 'log_processor', 'auto_scale_lr', 'train_cfg', 'val_cfg',
      'test_cfg', 'train_dataloader', 'val_dataloader', 'test_dataloader',
      'model_wrapper_cfg', 'data_preprocessor')),
    ('text', str, ('work_dir', 'experiment_name', 'default_scope')),
    ('a path or a list of dicts', (str, list), ('load_from', )),
    ('True or False', bool, ('resume', )),
)
# lists of dicts; of some a single dict will do
_ONE_OR_MORE = ('param_scheduler', 'val_evaluator', 'test_evaluator')
_DICTS = ('custom_hooks', 'visualizer.vis_backends', *_ONE_OR_MORE)
WORKER_OPTIONS = ('persistent_workers', 'prefetch_factor', 'timeout')


def known_keys() -> Iterable[str]:
    """Top-level keys that something reads."""
    names = list(inspect.signature(Runner.__init__).parameters)
    names.remove('self')
    return tuple(names) + _EXTRA_KEYS


def _nearest(key: str) -> Optional[str]:
    close = difflib.get_close_matches(key, known_keys(), 1, cutoff=_SIMILAR)
    return close[0] if close else None


def check_config(cfg: Config) -> None:
    """Refuse a config with a mistyped top-level key.

    MMEngine ignores top-level keys that it does not know, because a config
    may hold variables of its own (``data_root``).  So a key is refused if
    it is not known but looks like one that is.

    Args:
        cfg (Config): The config, overrides merged.

    Raises:
        KeyError: Names the key, the file and the nearest known key.
        ValueError: If a setting is of a wrong type, or training counts
            epochs and has its length in iterations, or the other way round.
    """
    for key in cfg.keys():
        near = None if key in known_keys() else _nearest(key)
        if near is not None:
            raise KeyError(
                f'{cfg.filename or "the config"} has the unknown key '
                f'{key!r}; did you mean {near!r}?  (A variable of your own '
                'needs a name that does not resemble a key.)')
    for wanted, kind, names in _TYPES:
        for key in names:
            if not isinstance(cfg.get(key), (kind, type(None))):
                raise ValueError(f'{key} must be {wanted}, not {cfg[key]!r}')
    for key in _DICTS:
        first, _, rest = key.partition('.')
        entries = cfg.get(first)
        entries = (entries or {}).get(rest) if rest else entries
        if isinstance(entries, dict) and key in _ONE_OR_MORE:
            entries = [entries]
        if entries is not None and not (
                isinstance(entries, (list, tuple))
                and all(isinstance(e, dict) for e in entries)):
            raise ValueError(
                f'{key} must be a list of dicts, not {entries!r}; on the '
                f'command line: --cfg-options "{key}=[dict(type=\'...\')]"')
    _check_length(cfg.get('train_cfg'))


def _check_length(train_cfg: Optional[dict]) -> None:
    """Refuse a length of the training that its loop does not know."""
    if not isinstance(train_cfg, dict) or 'type' in train_cfg:
        return
    by_epoch = train_cfg.get('by_epoch', True)
    known, other = ('epochs', 'iters') if by_epoch else ('iters', 'epochs')
    if f'max_{other}' in train_cfg:
        raise ValueError(
            f'train_cfg has max_{other} and by_epoch={by_epoch}, which counts '
            f'max_{known}: set max_{known}, or train_cfg=dict(_delete_=True, '
            f'by_epoch={not by_epoch}, max_{other}=...), '
            f'and by_epoch={not by_epoch} in log_processor and checkpoint '
            'hook')


def _config_of_model(name: str) -> str:
    """Path of the config of a model by its name."""
    if osp.basename(name) == name and not osp.splitext(name)[1]:
        try:
            return find_model(name).config
        except ValueError as e:
            raise FileNotFoundError(
                f'there is no config file {name}; {e}') from e
    raise FileNotFoundError(f'there is no config file {name}')


def load_config(path: str, options: Optional[dict] = None) -> Config:
    """Read a config file, or the config of a model's name.

    Args:
        path (str): Config file, or name of a model.
        options (dict, optional): ``--cfg-options``, merged as MMEngine does.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no config, with what is wrong in it.
    """
    cfg = _read_file(path)
    cfg.merge_from_dict(options or {})
    settle_preprocessor(cfg)
    return cfg


def _read_file(path: str) -> Config:
    check_name(path)
    if not osp.isfile(path):
        path = _config_of_model(path)
    # custom_imports of the config may need mmdet before costa_mm.models does
    import_mmcv_ops()
    try:
        return Config.fromfile(path)
    except Exception as e:  # whatever the code of a config may raise
        raise ValueError(f'{path} cannot be read as a config: '
                         f'{type(e).__name__}: {e}') from e


def settle_workers(loader: dict) -> dict:
    """A data loader's config without what only data workers can do.

    torch refuses these options with ``num_workers=0``, the usual first step
    of looking for a fault.
    """
    if loader.get('num_workers', 0):
        return loader
    loader = {k: v for k, v in loader.items() if k not in WORKER_OPTIONS}
    return {**loader, 'persistent_workers': False}


def _check_text(name: str, path: str) -> None:
    """Refuse a name that logs and checkpoints cannot hold as text."""
    try:
        path.encode()
    except UnicodeEncodeError as e:
        raise ValueError(f'{name} {path!r} is not UTF-8, and its name could '
                         'not be written into logs and checkpoints: choose '
                         'another one with --work-dir') from e


def read_config(path: str,
                *,
                options: Optional[dict] = None,
                work_dir: Optional[str] = None,
                launcher: str = 'none') -> Config:
    """Read a config, merge overrides, settle the work folder, check it.

    The work folder is, in this order, ``work_dir``, the config's own, or
    ``work_dirs/<name of the config>``.

    Args:
        path (str): Config file.
        options (dict, optional): ``--cfg-options``.
        work_dir (str, optional): ``--work-dir``.
        launcher (str): ``--launcher``.

    Returns:
        Config: Ready for a runner.

    Raises:
        FileNotFoundError: If there is no such file.
        KeyError: If a key is mistyped.
        OSError: If the work folder cannot be written to.
        ValueError: If a setting is of a wrong type.
    """
    cfg = _read_file(path)
    merge_options(cfg, options or {}, known_keys())
    check_config(cfg)
    settle_preprocessor(cfg)
    for name in LOADERS:
        if cfg.get(name):
            cfg[name] = settle_workers(cfg[name])
    cfg.launcher = launcher
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = osp.join('work_dirs', osp.splitext(
            osp.basename(path))[0])
    check_folder('the work folder', cfg.work_dir)
    _check_text('the work folder', cfg.work_dir)
    cfg.setdefault('default_scope', 'costa_mm')
    return cfg


def enable_amp(cfg: Config) -> None:
    """Switch training to mixed precision, on any device."""
    wrapper = cfg.optim_wrapper
    if str(wrapper.get('type', 'OptimWrapper')).split('.')[-1] == \
            'OptimWrapper':
        wrapper.type = 'costa_mm.STVGAmpOptimWrapper'


def enable_auto_scale_lr(cfg: Config) -> None:
    """Switch the linear scaling rule on.

    Raises:
        KeyError: If the config does not say for which batch size its
            learning rates are meant.
    """
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise KeyError(
            f'--auto-scale-lr: {cfg.filename} does not say for which batch '
            'size its learning rates are meant; add '
            'auto_scale_lr = dict(enable=False, base_batch_size=...)')
    cfg.auto_scale_lr.enable = True


def build_runner(cfg: Config) -> Runner:
    """The runner the config names, :class:`STVGRunner` by default."""
    from costa_mm.registry import RUNNERS
    from .runner import STVGRunner
    if 'runner_type' in cfg:
        return RUNNERS.build(cfg)
    return STVGRunner.from_cfg(cfg)
