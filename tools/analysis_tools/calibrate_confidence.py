# Copyright (c) costa_mm authors. All rights reserved.
"""Make a model's confidence a probability: "is this sentence true here?"

Every video of a split is asked for its own sentence and for sentences of
other videos; a logistic model on what the predictions say of themselves
learns to tell the two apart.  It is written beside the checkpoint, where
STVGInferencer finds it:

    python tools/analysis_tools/calibrate_confidence.py CONFIG CHECKPOINT
"""
import argparse
import os
import sys
from dataclasses import replace
from typing import Tuple

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn
from torch.utils.data import Dataset

from costa_mm.apis.calibration import (Calibration, calibration_path,
                                       weights_digest)
from costa_mm.apis.calibration_fit import fit_calibration, score_pairs
from costa_mm.cli.running import run_main
from costa_mm.engine import build_trained, read_checkpoint
from costa_mm.engine.checkpoint_io import weights_of
from costa_mm.engine.config import read_config
from costa_mm.engine.options import OptionsAction
from costa_mm.registry import DATASETS
from costa_mm.utils.configs import dataset_of
from costa_mm.utils.files import check_output

SHOWN = (('true sentences', 'num_true'),
         ('negative sentences', 'num_negative'),
         ('ROC-AUC', 'roc_auc'),
         ('ROC-AUC of the span probability', 'roc_auc_of_span_probability'),
         ('accuracy', 'accuracy'), ('balanced accuracy', 'balanced_accuracy'),
         ('true sentences found', 'true_found'),
         ('negative sentences refused', 'negative_refused'),
         ('Brier score', 'brier'),
         ('expected calibration error', 'calibration_error'))


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description='Fit the confidence below which a sentence is "not in '
        'this video"')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--split', default='val', choices=('val', 'test'),
        help='which dataloader of the config gives the videos')
    parser.add_argument(
        '--negatives', '--foreign', type=int, default=1, metavar='N',
        help='sentences of other videos per entry')
    parser.add_argument(
        '--max-miss', type=float,
        help='highest share of true sentences that may be refused (default: '
        'the threshold with the best balanced accuracy)')
    parser.add_argument('--folds', type=int, default=5,
                        help='folds of the cross-validation')
    parser.add_argument('--seed', type=int, default=0,
                        help='seed of negative sentences and folds')
    parser.add_argument(
        '--out', help='file to write (default: beside the checkpoint, where '
        'it is found by itself)')
    parser.add_argument('--device', help="'cpu', 'cuda:0', ... (default: "
                        'what is there)')
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction)
    return parser.parse_args()


def build_model(cfg: Config, path: str, device: str) -> Tuple[nn.Module, str]:
    """The model in eval mode, and the digest of its weights."""
    checkpoint = read_checkpoint(path)
    model = build_trained(cfg.model, checkpoint, path)
    digest = weights_digest(weights_of(checkpoint))
    return model.to(device).eval(), digest


def domain_of(dataset: Dataset, name: str) -> dict:
    """What videos a calibration speaks of, see :class:`Calibration`."""
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    domain = dict(name=name)
    for side in ('width', 'height'):
        seen = [info[side] for info in infos if info.get(side)]
        if seen:
            domain[side] = [min(seen), max(seen)]
    return domain


def print_report(calibration: Calibration) -> None:
    """Figures of the cross-validation, then the weights."""
    for text, key in SHOWN:
        value = calibration.report[key]
        shown = value if isinstance(value, int) else f'{value:.4f}'
        print(f'{text:<34}{shown}')
    print(f'{"threshold":<34}{calibration.threshold:.4f}')
    for name, weight in zip(calibration.features, calibration.weights):
        print(f'{"weight of " + name:<34}{weight:+.3f}')


def main() -> None:
    """Score, fit, write, tell."""
    args = parse_args()
    out = args.out or calibration_path(args.checkpoint)
    check_output('--out', out)
    cfg = read_config(args.config, options=args.cfg_options)
    init_default_scope(cfg.default_scope)
    device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    dataset = DATASETS.build(
        dict(dataset_of(cfg, args.split), on_error='raise'))
    model, digest = build_model(cfg, args.checkpoint, device)
    pairs = score_pairs(
        model, dataset, num_negative=args.negatives, seed=args.seed)
    calibration = fit_calibration(
        pairs,
        num_folds=args.folds,
        max_miss=args.max_miss,
        seed=args.seed,
        digest=digest,
        notes=dict(split=args.split, seed=args.seed))
    name = f'{os.path.splitext(os.path.basename(args.config))[0]}, ' \
        f'{args.split} split'
    calibration = replace(calibration, domain=domain_of(dataset, name))
    calibration.dump(out)
    print_report(calibration)
    print(f'written: {out}')


if __name__ == '__main__':
    sys.exit(run_main(main))
