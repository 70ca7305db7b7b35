# Copyright (c) costa_mm authors. All rights reserved.
"""Which settings fit on which card, and how long an epoch takes there.

    python tools/analysis_tools/plan_cards.py configs/costa_hcstvg.py

counts memory and operations of a training step with one video of the largest
size that the config trains on; nothing is measured, no card is needed.  For
every card the first of these that has room is taken: 16 bits; 16 bits with
recomputed activations (``model.with_cp=True``); the same with 32 frames.
Hours are operations over a part of the rate that the maker of the card names
(``--share``); data workers are as many as load a sample (``--loading``
seconds, as ``benchmark.py --task loading`` measures) in two thirds of a step.
With ``--json`` an interrupted run goes on where it was.
"""
import argparse
import math
import sys
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from benchmark import Report, gib
from benchmarking.cards import CARDS, first_that_fits, hours
from benchmarking.machine import Table
from benchmarking.measuring import count_training
from benchmarking.subjects import Spec

from costa_mm.cli.running import run_main
from costa_mm.engine.config import read_config
from costa_mm.utils.errors import first_line

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'misc'))

from prepare import training_size  # noqa: E402

#: Sentences of an epoch, by the name of the folder of the data.
EPOCHS = dict(hcstvg_v1=4498, hcstvg_v2=10131, vidstg=80684)
FEWER_FRAMES = 32


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('configs', nargs='+', help='config files')
    add('--share', type=float, default=0.3,
        help="part of the card's rate that is reached (default 0.3)")
    add('--loading', type=float, default=0.13,
        help='seconds that a data worker takes for a sample (default 0.13: a '
        'clip of 20 s, 640 x 360, on the machine of docs/en/benchmarks.md)')
    add('--videos', type=int,
        help='sentences of an epoch; by default those of the dataset')
    add('--json', help='write the counts here as well')
    args = parser.parse_args(argv)
    if not 0 < args.share <= 1:
        parser.error('--share is a part: more than 0, at most 1')
    return args


def settings(config: str) -> Dict[str, Spec]:
    """What is tried for a card, the wanted first."""
    cfg = read_config(config, work_dir='.')
    frames, size = training_size(cfg)
    tried = {'32 bits': ('fp32', frames), '16 bits': ('bf16', frames),
             '16 bits, with_cp': ('bf16+cp', frames)}
    if frames > FEWER_FRAMES:
        tried[f'16 bits, with_cp, {FEWER_FRAMES} frames'] = (
            'bf16+cp', FEWER_FRAMES)
    return {
        name: Spec(config, mode, 'train', number, size, 1, 'cpu')
        for name, (mode, number) in tried.items()
    }


def videos_of(config: str) -> int:
    """Sentences of an epoch of the config's dataset.

    Raises:
        ValueError: If it is none of those that are known.
    """
    cfg = read_config(config, work_dir='.')
    root = cfg.get('data_root') or cfg.train_dataloader.dataset.data_root
    name = Path(root).name
    if name not in EPOCHS:
        raise ValueError(f'{config}: the number of sentences of {root} is not '
                         'known; give --videos')
    return EPOCHS[name]


def count_all(config: str, report: Report, table: Table) -> Dict[str, dict]:
    """Counts of every setting, a line for each as it is known."""
    counted = {}
    for name, spec in settings(config).items():
        try:
            out = report.get('counted', spec.key, count_training, spec)
        except RuntimeError as e:  # a step that depends on the numbers
            table.row(Path(config).stem, 'cannot be counted: ' +
                      first_line(e))
            break
        counted[name] = out
        table.row(Path(config).stem, name, gib(out['live_bytes']),
                  f"{out['flops'] / 1e12:.1f}")
    return counted


def plan(counted: Dict[str, dict], videos: int, share: float,
         loading: float) -> List[Tuple[str, ...]]:
    """A row for every card: card, setting, memory, hours on one and on eight,
    data workers of each process."""
    rows = []
    wanted = [(name, out) for name, out in counted.items()
              if name != '32 bits']
    for card in CARDS:
        found = first_that_fits(wanted, card)
        if found is None:
            rows.append((card.name, 'none of them'))
            continue
        name, out = found
        alone = hours(out, videos, card, share)
        workers = math.ceil(1.5 * loading * videos / 3600 / alone)
        rows.append((card.name, name, gib(out['live_bytes']),
                     f'{alone:.2f}', f'{alone / 8:.2f}', str(workers)))
    return rows


def main(argv: Optional[List[str]] = None) -> None:
    """Count, choose, print."""
    args = parse_args(argv)
    report = Report(args.json, 'cpu')
    table = Table(config=18, setting=28, live_GiB=8, TFLOP=7)
    found = {}
    for config in args.configs:
        found[config] = count_all(config, report, table)
    print(f'\nHours of an epoch at {args.share:.0%} of the rate that the '
          'maker names:\n')
    table = Table(config=18, card=15, setting=28, live_GiB=8, one_card=8,
                  eight=8, workers=7)
    for config, counted in found.items():
        if not counted:
            continue
        videos = args.videos or videos_of(config)
        for row in plan(counted, videos, args.share, args.loading):
            table.row(Path(config).stem, *row)


if __name__ == '__main__':
    sys.exit(run_main(main))
