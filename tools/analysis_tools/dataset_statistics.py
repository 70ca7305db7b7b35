# Copyright (c) costa_mm authors. All rights reserved.
"""Spans, boxes and sentences of a split: figures and a page of plots."""
import argparse
import os
import sys
from collections import Counter
from typing import Dict, List

import matplotlib
import numpy as np
from mmengine.config import DictAction

from costa_mm.cli.running import run_main
from costa_mm.engine.config import load_config
from costa_mm.registry import DATASETS
from costa_mm.utils.configs import first_dataset
from costa_mm.utils.files import atomic_path, write_json

matplotlib.use('Agg')

TITLES = dict(
    event_seconds='event, seconds',
    event_share='event, share of the segment',
    event_middle='middle of the event, share of the segment',
    box_area='box, share of the frame',
    box_side='box, longer side as a share of the frame',
    words='words in a sentence')


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config')
    parser.add_argument(
        '--split', default='train', choices=('train', 'val', 'test'))
    parser.add_argument('--out-dir', default='outputs/statistics')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    return parser.parse_args()


def collect(dataset) -> Dict[str, List[float]]:
    """Values of every statistic.

    Args:
        dataset (:obj:`BaseSTVGDataset`): Only annotations are read.

    Returns:
        dict[str, list[float]]: Keys as in ``TITLES``.
    """
    values: Dict[str, List[float]] = {key: [] for key in TITLES}
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        values['words'].append(len(info['sentence'].split()))
        tube = info['gt_tube']
        if tube is None:
            continue
        start, end = info['segment']
        length = tube.span[1] - tube.span[0]
        middle = (tube.span[0] + tube.span[1]) / 2 - start
        values['event_seconds'].append(length / info['fps'])
        values['event_share'].append(length / (end - start))
        values['event_middle'].append(middle / (end - start))
        if len(tube.boxes):
            size = tube.boxes[:, 2:] - tube.boxes[:, :2]
            size = size / [info['width'], info['height']]
            values['box_area'].append(float(size.prod(axis=1).mean()))
            values['box_side'].append(float(size.max(axis=1).mean()))
    return values


def summarise(values: Dict[str, List[float]]) -> Dict[str, dict]:
    """Number, mean and quartiles of every statistic that has values."""
    out = {}
    for key, numbers in values.items():
        if numbers:
            low, middle, high = np.percentile(numbers, [25, 50, 75])
            out[key] = dict(
                number=len(numbers),
                mean=float(np.mean(numbers)),
                quartiles=[float(low), float(middle), float(high)])
    return out


def plot(values: Dict[str, List[float]], title: str, path: str) -> None:
    """One histogram per statistic."""
    from matplotlib import pyplot as plt
    figure, axes = plt.subplots(2, 3, figsize=(12, 6.5))
    for axis, (key, name) in zip(axes.flat, TITLES.items()):
        axis.hist(values[key], bins=30, color='#4070b0')
        axis.set_xlabel(name)
        axis.set_ylabel('samples')
        axis.spines[['top', 'right']].set_visible(False)
    figure.suptitle(title)
    figure.tight_layout()
    with atomic_path(path) as part:
        figure.savefig(part, dpi=110)
    plt.close(figure)


def main() -> None:
    """Write ``SPLIT.json`` and ``SPLIT.png``."""
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    dataset = DATASETS.build(
        dict(first_dataset(cfg, args.split), pipeline=[]))
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    values = collect(dataset)
    summary = dict(
        samples=len(infos),
        videos=len({i['video_id'] for i in infos}),
        qtypes=dict(Counter(str(i['qtype']) for i in infos)),
        statistics=summarise(values))
    os.makedirs(args.out_dir, exist_ok=True)
    path = os.path.join(args.out_dir, args.split)
    write_json(summary, f'{path}.json', indent=1)
    plot(values, f'{args.config}, {args.split}: {len(infos)} samples',
         f'{path}.png')
    print(f"{summary['samples']} samples, {summary['videos']} videos, query "
          f"types {summary['qtypes']}")
    for key, entry in summary['statistics'].items():
        low, middle, high = entry['quartiles']
        print(f'{TITLES[key]}: mean {entry["mean"]:.3f}, quartiles '
              f'{low:.3f} {middle:.3f} {high:.3f}')
    print(f'{path}.json, {path}.png')


if __name__ == '__main__':
    sys.exit(run_main(main))
