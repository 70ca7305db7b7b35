# Copyright (c) costa_mm authors. All rights reserved.
"""Train a model."""
import argparse
import os
from typing import Optional, Sequence

from mmengine.config import Config

from costa_mm.engine import latest_checkpoint
from costa_mm.engine.checkpoint_io import check_checkpoint
from costa_mm.engine.config import (build_runner, enable_amp,
                                    enable_auto_scale_lr, read_config)
from costa_mm.engine.launch import LAUNCHERS, close_process_group
from costa_mm.engine.options import OptionsAction
from costa_mm.utils.configs import dataset_of


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description='Train a model')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir',
        help='folder for logs and checkpoints (default: the config\'s, or '
        'work_dirs/<name of the config>)')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on with an interrupted run: with its last checkpoint, or '
        'with the one given; starts afresh if there is none yet')
    parser.add_argument(
        '--amp',
        action='store_true',
        help='mixed precision, bfloat16 where there is (the CPU included)')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rates with the samples per update')
    parser.add_argument(
        '--seed', type=int, help='seed of the run (default: the config\'s)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        metavar='KEY=VALUE',
        help='override settings of the config, e.g. '
        'optim_wrapper.optimizer.lr=1e-4 key="[a,b]"')
    parser.add_argument(
        '--launcher', choices=LAUNCHERS, default='none', help='job launcher')
    # torch.distributed.launch passes one of these, torchrun does not
    parser.add_argument(
        '--local_rank', '--local-rank', type=int, default=0,
        help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def prepare(args: argparse.Namespace) -> Config:
    """The config of the run; everything that can be wrong early is.

    Raises:
        KeyError, OSError, ValueError: See :func:`read_config`.
        FileNotFoundError: If there is no such checkpoint.
    """
    cfg = read_config(
        args.config,
        options=args.cfg_options,
        work_dir=args.work_dir,
        launcher=args.launcher)
    if args.amp:
        enable_amp(cfg)
    if args.auto_scale_lr:
        enable_auto_scale_lr(cfg)
    if args.seed is not None:
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=args.seed)
    if args.resume is not None:
        path = latest_checkpoint(
            cfg.work_dir) if args.resume == 'auto' else args.resume
        cfg.resume = path is not None
        if cfg.resume:  # else the pretrained weights of the config stay
            cfg.load_from = path
            check_checkpoint(path)
    dataset_of(cfg, 'train')
    return cfg


def main() -> None:
    """Train."""
    build_runner(prepare(parse_args())).train()
    close_process_group()


if __name__ == '__main__':
    main()
