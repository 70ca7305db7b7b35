# Copyright (c) costa_mm authors. All rights reserved.
"""Table at the end of tools/quickstart.sh: the model and the trivial ones."""
import argparse
import json
import sys
from typing import Dict

from mmengine.config import Config

from costa_mm.cli.running import run_main
from costa_mm.datasets import BaseSTVGDataset
from costa_mm.engine.config import load_config
from costa_mm.evaluation import evaluate_tubes, trivial_predictions, true_tubes
from costa_mm.evaluation.report import means, text_table
from costa_mm.registry import DATASETS

NAMES = ('m_tIoU', 'm_vIoU', 'vIoU@0.3', 'vIoU@0.5', 'm_sIoU')


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description='Compare a model with trivial predictors')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint that was tested')
    parser.add_argument('--data-root', required=True, help='the benchmark')
    parser.add_argument(
        '--metrics', required=True, help='from tools/test.py --metrics-out')
    parser.add_argument(
        '--shuffled', help='the same with shuffled sentences')
    return parser.parse_args()


def read_metrics(path: str) -> Dict[str, float]:
    """Metrics by name, without the prefix."""
    with open(path, encoding='utf-8') as f:
        metrics = json.load(f)
    return {name: metrics[f'stvg/{name}'] for name in NAMES}


def build_dataset(cfg: Config, split: str, data_root: str) -> BaseSTVGDataset:
    """A split, without its pipeline."""
    dataset_cfg = dict(cfg[f'{split}_dataloader'].dataset, pipeline=[])
    return DATASETS.build(dict(dataset_cfg, data_root=data_root))


def main() -> None:
    """Print the table, then one line for machines."""
    args = parse_args()
    cfg = load_config(args.config)
    train, test = (
        true_tubes(build_dataset(cfg, split, args.data_root))
        for split in ('train', 'test'))
    rows = {'CoSTA-tiny': read_metrics(args.metrics)}
    if args.shuffled:
        rows['CoSTA-tiny, sentences shuffled'] = read_metrics(args.shuffled)
    trivial = {}
    for name, tubes in trivial_predictions(train, test).items():
        records = evaluate_tubes(tubes, test, 'paper')
        trivial[name.replace('_', ' ')] = means(records, 'paper')
    rows.update(trivial)
    print(text_table([('', ) + NAMES] + [
        (name, ) + tuple(f'{row[n]:.4f}' for n in NAMES)
        for name, row in rows.items()
    ]))
    model = rows['CoSTA-tiny']
    best = max(row['m_vIoU'] for row in trivial.values())
    print(f"quickstart: m_vIoU={model['m_vIoU']:.4f} "
          f"m_tIoU={model['m_tIoU']:.4f} m_sIoU={model['m_sIoU']:.4f} "
          f'trivial_m_vIoU={best:.4f} checkpoint={args.checkpoint} '
          f'config={args.config}')


if __name__ == '__main__':
    sys.exit(run_main(main))
