# Copyright (c) costa_mm authors. All rights reserved.
"""Reading a config as the tools do: overrides, checks, switches."""
import difflib
import inspect
import os.path as osp
from typing import Iterable, Optional

from mmengine.config import Config
from mmengine.runner import Runner

from costa_mm.compat import import_mmcv_ops

# what Runner reads from the config besides its constructor's arguments
_EXTRA_KEYS = ('runner_type', 'custom_imports', 'sync_bn', 'compile',
               'find_unused_parameters', 'model_wrapper_cfg', 'gpu_ids',
               'activation_checkpointing', 'efficient_conv_bn_eval')
# a name this similar to a known one is taken for a slip of the pen
_SIMILAR = 0.8


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
    """
    for key in cfg.keys():
        near = None if key in known_keys() else _nearest(key)
        if near is not None:
            raise KeyError(
                f'{cfg.filename or "the config"} has the unknown key '
                f'{key!r}; did you mean {near!r}?  (A variable of your own '
                'needs a name that does not resemble a key.)')


def check_options(cfg: Config, options: dict) -> None:
    """Refuse an override whose first part names nothing in the config.

    Args:
        cfg (Config): The config before the overrides are merged.
        options (dict): ``--cfg-options``, keys dotted.

    Raises:
        KeyError: Names the option and the nearest existing key.
    """
    names = set(cfg.keys()) | set(known_keys())
    for option in options:
        top = option.split('.')[0]
        if top in names:
            continue
        close = difflib.get_close_matches(top, sorted(names), 1, cutoff=0.5)
        hint = f'; did you mean {close[0]!r}?' if close else ''
        raise KeyError(f'--cfg-options {option}: the config has no key '
                       f'{top!r}{hint}')


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
    """
    if not osp.isfile(path):
        raise FileNotFoundError(f'there is no config file {path}')
    # custom_imports of the config may need mmdet before costa_mm.models does
    import_mmcv_ops()
    cfg = Config.fromfile(path)
    if options:
        check_options(cfg, options)
        cfg.merge_from_dict(options)
    check_config(cfg)
    cfg.launcher = launcher
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = osp.join('work_dirs', osp.splitext(
            osp.basename(path))[0])
    cfg.setdefault('default_scope', 'costa_mm')
    return cfg


def enable_amp(cfg: Config) -> None:
    """Switch training to mixed precision, on any device."""
    wrapper = cfg.optim_wrapper
    if wrapper.get('type', 'OptimWrapper').split('.')[-1] == 'OptimWrapper':
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
