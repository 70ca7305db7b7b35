# Copyright (c) costa_mm authors. All rights reserved.
"""Evaluate a checkpoint."""
import argparse
import os
import os.path as osp
from typing import Optional, Sequence

from mmengine.config import Config

from costa_mm.engine.checkpoint_io import check_checkpoint
from costa_mm.engine.config import build_runner, read_config
from costa_mm.engine.launch import (LAUNCHERS, autocast_dtype,
                                    close_process_group)
from costa_mm.engine.options import OptionsAction
from costa_mm.evaluation import RESULT_FORMATS, get_format
from costa_mm.utils.building import needs_weights
from costa_mm.utils.configs import dataset_of
from costa_mm.utils.files import check_folder, check_output, write_json


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description='Evaluate a checkpoint')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help="checkpoint file; 'none' for a "
                        'method that puts together what others have trained')
    parser.add_argument(
        '--work-dir',
        help='folder for the log (default: the config\'s, or '
        'work_dirs/<name of the config>)')
    parser.add_argument(
        '--out', metavar='JSON', help='write the predictions')
    parser.add_argument(
        '--format',
        choices=list(RESULT_FORMATS.module_dict),
        help="what --out is: 'tubes' for a tube file (default), "
        "'hcstvg_challenge' for the challenge's result file (default with "
        '--format-only); cvat_video, mot, vidstg, srt and vtt are folders')
    parser.add_argument(
        '--metrics-out', metavar='JSON', help='write the metrics to a file')
    parser.add_argument(
        '--format-only',
        action='store_true',
        help="only predict and write the HC-STVG challenge's result file "
        '(or what --format says) to --out, by default '
        '<work folder>/<format>.json; needs no ground truth')
    parser.add_argument(
        '--show-dir', help='write pictures of the predictions to this folder')
    parser.add_argument(
        '--show', action='store_true', help='show the pictures in windows')
    parser.add_argument(
        '--wait-time', type=float, default=2, help='seconds per window')
    parser.add_argument(
        '--amp', action='store_true', help='evaluate in mixed precision')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        metavar='KEY=VALUE',
        help='override settings of the config')
    parser.add_argument(
        '--launcher', choices=LAUNCHERS, default='none', help='job launcher')
    parser.add_argument(
        '--local_rank', '--local-rank', type=int, default=0,
        help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.format and not (args.out or args.format_only):
        parser.error('--format says how predictions are written: give --out '
                     'FILE or --format-only')
    if args.format is None:
        args.format = 'hcstvg_challenge' if args.format_only else 'tubes'
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def set_outputs(cfg: Config, args: argparse.Namespace) -> None:
    """Tell the metric what to write, and the visualizer what to draw."""
    if args.out or args.format_only:
        set_prediction_file(cfg, args)
    if args.show or args.show_dir:
        hooks = cfg.setdefault('default_hooks', {})
        hook = hooks.get('visualization') or {}
        hooks['visualization'] = {
            'type': 'costa_mm.TubeVisualizationHook',
            **hook,
            'draw': True,
            'show': args.show,
            'wait_time': args.wait_time,
            'test_out_dir': args.show_dir
        }


def set_prediction_file(cfg: Config, args: argparse.Namespace) -> None:
    """Let the metric write the predictions.

    Raises:
        KeyError: If the config's metric is none that can.
    """
    given = cfg.get('test_evaluator') or []
    metrics = [
        e for e in (given if isinstance(given, list) else [given])
        if str(e.get('type')).split('.')[-1] == 'STVGMetric'
    ]
    if not metrics:
        raise KeyError('--out: the test_evaluator of the config has no '
                       'STVGMetric to write the predictions')
    metrics[0].update(
        tube_file=args.out or osp.join(
            cfg.work_dir, args.format + get_format(args.format).suffix),
        format=args.format,
        format_only=args.format_only)
    if args.format_only:  # nothing else can do without ground truth
        cfg.test_evaluator = metrics[0]


def find_checkpoint(checkpoint: str, cfg: Config) -> Optional[str]:
    """The checkpoint to load, or None where none is needed.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If the model is nothing without one.
    """
    if checkpoint != 'none':
        check_checkpoint(checkpoint)
        return checkpoint
    if needs_weights(cfg.model):
        raise ValueError(f'{cfg.model.type} is nothing without a checkpoint')
    return None


def prepare(args: argparse.Namespace) -> Config:
    """The config of the run; everything that can be wrong early is.

    Raises:
        KeyError, OSError, ValueError: See :func:`read_config`, and if
            something that is to be written cannot be.
        FileNotFoundError: If there is no such checkpoint.
    """
    if args.metrics_out is not None:
        check_output('--metrics-out', args.metrics_out)
    if args.out is not None:
        is_file = get_format(args.format).suffix
        (check_output if is_file else check_folder)('--out', args.out)
    if args.show_dir is not None:
        check_folder('--show-dir', args.show_dir)
    cfg = read_config(
        args.config,
        options=args.cfg_options,
        work_dir=args.work_dir,
        launcher=args.launcher)
    checkpoint = find_checkpoint(args.checkpoint, cfg)
    dataset_of(cfg, 'test')
    cfg.load_from, cfg.resume = checkpoint, False
    # nothing of the training is needed, least of all its data
    for key in ('train_dataloader', 'train_cfg', 'optim_wrapper',
                'param_scheduler', 'val_dataloader', 'val_cfg',
                'val_evaluator'):
        cfg.pop(key, None)
    set_outputs(cfg, args)
    if args.amp:
        import torch  # after costa_mm, which sets how its threads wait
        cfg.test_cfg['fp16'] = True
        if torch.cuda.is_available():
            torch.set_autocast_dtype('cuda', autocast_dtype())
    return cfg


def main() -> None:
    """Evaluate."""
    args = parse_args()
    from mmengine.dist import is_main_process
    metrics = build_runner(prepare(args)).test()
    if args.metrics_out and is_main_process():
        write_json(metrics, args.metrics_out, indent=2)
    close_process_group()


if __name__ == '__main__':
    main()
