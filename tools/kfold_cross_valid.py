# Copyright (c) costa_mm authors. All rights reserved.
"""Train and test on every part of a small dataset in turn.

The videos of the config's training set are dealt into folds, so that all
sentences of a video are in one fold; a model is trained on all folds but one
and tested on that one.  Without --num-splits every video is a fold of its own
(leave one out):

    python tools/kfold_cross_valid.py \\
        configs/real_clips/costa_tiny_lite0_real_clips.py

A fold whose figures are in the work folder is not run again.
"""
import argparse
import copy
import sys
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import mmengine
from mmengine.config import Config
from mmengine.registry import init_default_scope

from costa_mm.cli.running import run_main
from costa_mm.engine.config import build_runner, read_config
from costa_mm.engine.options import OptionsAction
from costa_mm.registry import DATASETS
from costa_mm.utils.configs import dataset_of
from costa_mm.utils.files import write_json

RESULT = 'fold.json'


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--num-splits', type=int, help='folds (default: one per video)')
    parser.add_argument('--fold', type=int, help='only this one, from 0')
    parser.add_argument(
        '--summary', action='store_true', help='run nothing, show what is')
    parser.add_argument(
        '--work-dir',
        help='folder of all folds (default: the config\'s, or '
        'work_dirs/<name of the config>)')
    parser.add_argument(
        '--cfg-options', nargs='+', action=OptionsAction,
        metavar='KEY=VALUE', help='override settings of the config')
    return parser.parse_args(argv)


def deal(cfg: Config, num_splits: Optional[int]) -> List[List[int]]:
    """Indices of the samples of each fold, videos in the order of the file.

    Raises:
        ValueError: If there are fewer videos than folds, or fewer than two
            of either.
    """
    dataset = DATASETS.build(dataset_of(cfg, 'train'))
    videos: Dict[str, List[int]] = {}
    for i in range(len(dataset)):
        videos.setdefault(dataset.get_data_info(i)['video_path'], []).append(i)
    num = len(videos) if num_splits is None else num_splits
    if not 2 <= num <= len(videos):
        raise ValueError(f'{len(videos)} videos cannot be dealt into {num} '
                         'folds: at least two, and no more than videos')
    groups = list(videos.values())
    return [sum(groups[k::num], []) for k in range(num)]


def fold_config(cfg: Config, folds: List[List[int]], k: int) -> Config:
    """The config that trains without fold k and tests on it."""
    cfg = copy.deepcopy(cfg)
    cfg.work_dir = str(Path(cfg.work_dir, f'fold{k}'))
    cfg.experiment_name = f'{Path(cfg.filename).stem}_fold{k}'
    train, test = dataset_of(cfg, 'train'), dataset_of(cfg, 'test')
    held_out = dict(train, pipeline=test['pipeline'], test_mode=True)
    cfg.test_dataloader.dataset = dict(held_out, indices=folds[k])
    train['indices'] = sum(folds[:k] + folds[k + 1:], [])
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.default_hooks.checkpoint.pop('save_best', None)
    return cfg


def run_fold(cfg: Config) -> Dict[str, float]:
    """Train, then test what the last iteration left."""
    runner = build_runner(cfg)
    runner.train()
    return runner.test()


def summarise(results: Dict[int, dict]) -> str:
    """A row per fold, and the mean over samples."""
    names = [n for n in next(iter(results.values()))['metrics']
             if n.startswith('stvg/')]
    rows = [[f'fold {k}', r['samples'], *(r['metrics'][n] for n in names)]
            for k, r in sorted(results.items())]
    total = sum(row[1] for row in rows)
    means = [sum(row[1] * row[c] for row in rows) / total
             for c in range(2, len(names) + 2)]
    lines = ['| | samples | ' + ' | '.join(n.removeprefix('stvg/')
                                            for n in names) + ' |',
             '|---|' + '---:|' * (len(names) + 1)]
    for name, count, *values in [*rows, ['mean', total, *means]]:
        lines.append(f'| {name} | {count} | '
                     + ' | '.join(f'{v:.3f}' for v in values) + ' |')
    return '\n'.join(lines)


def run(args: argparse.Namespace) -> None:
    """Every fold that is asked for and not done yet, then the table.

    Raises:
        KeyError, OSError, ValueError: If config, data or folds are wrong.
    """
    cfg = read_config(
        args.config, options=args.cfg_options, work_dir=args.work_dir)
    init_default_scope(cfg.default_scope)
    folds = deal(cfg, args.num_splits)
    if args.fold is not None and not 0 <= args.fold < len(folds):
        raise ValueError(f'--fold {args.fold}: there are {len(folds)} folds, '
                         'counted from 0')
    results = {}
    for k, indices in enumerate(folds):
        path = Path(cfg.work_dir, f'fold{k}', RESULT)
        done = mmengine.load(path) if path.is_file() else {}
        if done.get('indices') == indices:
            results[k] = done
        elif not args.summary and args.fold in (None, k):
            metrics = run_fold(fold_config(cfg, folds, k))
            results[k] = dict(
                indices=indices, samples=len(indices), metrics=metrics)
            write_json(results[k], path)
    if not results:
        raise ValueError(f'no fold is done in {cfg.work_dir}')
    print(summarise(results))
    missing = sorted(set(range(len(folds))) - set(results))
    if missing:
        print(f'folds that are missing: {missing}')


def main() -> None:
    """What the command line says."""
    run(parse_args())


if __name__ == '__main__':
    sys.exit(run_main(main))
