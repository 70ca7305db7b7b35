# Copyright (c) costa_mm authors. All rights reserved.
"""Time and memory of training, prediction and data loading.

    # everything about a config in two precisions
    python tools/analysis_tools/benchmark.py configs/costa_hcstvg.py \\
        --task predict train --frames 64 --size 224x398 --mode fp32 bf16

    # the same network as the published systems run it, in turn in one process
    python tools/analysis_tools/benchmark.py \\
        configs/baselines/stcat_hcstvg.py --task backbone --compare \\
        --mode fp32+published fp32 bf16

    # where loading a sample spends its time
    python tools/analysis_tools/benchmark.py configs/costa_hcstvg.py \\
        --task loading

Weights and videos are random, a text encoder of the size of roberta-base is
made without asking a hub.  A training step includes clipping, the optimizer
and the averaged weights.  Every row is measured in a process of its own, so
its peak memory is its own: allocated memory on a GPU, resident memory on the
CPU; "live" is what tensors take at once, counted alike on both.  Rates are
compared with what large matrix products reach on the machine in the same
precision.  With ``--json`` a run that was interrupted goes on where it was.
Tables are Markdown.
"""
import argparse
import json
import os
import re
import sys
import time
from itertools import product
from pathlib import Path
from typing import Callable, Dict, List, Optional, Tuple

import torch
from benchmark_loading import loading_times
from benchmarking.machine import Table, describe, matmul_rate
from benchmarking.measuring import compare, count_training, measure_alone
from benchmarking.subjects import Spec

from costa_mm.cli.running import run_main
from costa_mm.utils.files import write_json

MODE = re.compile(r'(fp32|tf32|bf16)'
                  r'(\+(cp|compile|published|plain|chunk[1-9]\d*))*')
#: Columns of a :class:`Spec`, with their widths.
SPEC = dict(config=14, task=8, T=3, size=7, B=2, mode=14)


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('configs', nargs='+', help='config files')
    add('--task', nargs='+', default=['predict'],
        choices=('predict', 'train', 'backbone', 'loading'))
    add('--mode', nargs='+', type=parse_mode, default=['fp32'],
        help='precision (fp32, tf32, bf16) and options: +cp (checkpoints '
        'activations), +compile, +chunkN (frames at a time), +plain (norms '
        'not folded, channels first), +published (the published way)')
    add('--frames', nargs='+', type=int, default=[64], metavar='T')
    add('--size', nargs='+', type=parse_size, default=[(224, 398)],
        metavar='HxW')
    add('--batch', nargs='+', type=int, default=[1])
    add('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    add('--threads', type=int, default=torch.get_num_threads())
    add('--rounds', type=int, default=5, help='the median counts')
    add('--alone-rounds', type=int,
        help='rounds of what is measured alone, 0 for none of it; by default '
        '--rounds')
    add('--compare', action='store_true',
        help='also measure all configs and modes in turn in one process')
    add('--count-only', action='store_true',
        help='memory and operations of training steps, without computing '
        'them: for any size on any machine')
    add('--json', help='write the figures here as well')
    args = parser.parse_args(argv)
    if args.alone_rounds is None:
        args.alone_rounds = args.rounds
    try:
        check_args(args)
    except ValueError as e:
        parser.error(str(e))
    return args


def check_args(args: argparse.Namespace) -> None:
    """Refuse what cannot be measured.

    Raises:
        ValueError: Names the argument.
    """
    if args.rounds < 1 or args.alone_rounds < 0:
        raise ValueError('--rounds is not positive')
    for spec in specs_of(args):
        if args.count_only and (spec.task, spec.device) != ('train', 'cpu'):
            raise ValueError('--count-only is for --task train --device cpu')
    for config in args.configs:
        if not os.path.isfile(config):
            raise ValueError(f'there is no config file {config}')


def parse_mode(text: str) -> str:
    """The mode, if it is one."""
    if not MODE.fullmatch(text):
        raise argparse.ArgumentTypeError(f'{text!r} is not {MODE.pattern}')
    return text


def parse_size(text: str) -> Tuple[int, int]:
    """'224x398' to (224, 398)."""
    height, _, width = text.partition('x')
    if not (height.isdigit() and width.isdigit()):
        raise argparse.ArgumentTypeError(f'{text!r} is not HEIGHTxWIDTH')
    return int(height), int(width)


def specs_of(args: argparse.Namespace) -> List[Spec]:
    """All combinations, in the order of the table."""
    tasks = [t for t in args.task if t != 'loading']
    return [
        Spec(config, mode, task, frames, size, batch, args.device)
        for task, size, frames, batch, config, mode in product(
            tasks, args.size, args.frames, args.batch, args.configs,
            args.mode)
    ]


class Report:
    """Figures, on disk after every measurement.

    Args:
        path (str, optional): JSON file; what it holds is not measured again.
        device (str): Device of the run.
    """

    def __init__(self, path: Optional[str], device: str) -> None:
        self.path = path
        self.data = dict(
            machine=describe(device), matmul={}, rows={}, compared={},
            counted={}, loading={})
        if path and os.path.isfile(path):
            self.data.update(json.loads(Path(path).read_text('utf-8')))

    def get(self, section: str, key: str, make: Callable, *args) -> dict:
        """A figure, ``make(*args)`` unless it is there."""
        part = self.data[section]
        if key not in part:
            part[key] = make(*args)
            if self.path:
                write_json(self.data, self.path, indent=1)
        return part[key]


def gib(count: int) -> str:
    """Bytes for a table."""
    return f'{count / 2**30:.2f}'


def print_rows(specs: List[Spec], report: Report,
               args: argparse.Namespace) -> None:
    """Measure what is missing and print one line for each, then parts."""
    rates = {}
    for p in sorted({spec.precision for spec in specs}):
        rates[p] = report.get('matmul', p, matmul_rate, args.device, p)
        print(f'matrix products, {p}: {rates[p] / 1e12:.3f} TFLOP/s')
    print()
    table = Table(**SPEC, s=8, peak_GiB=8, live_GiB=8, TFLOP=7, of_rate=7)
    parts = []
    for spec in specs:
        row = report.get('rows', spec.key, measure_alone, spec,
                         args.alone_rounds, args.threads)
        if 'error' in row:
            table.row(*spec.cells, row['error'][:60])
            continue
        cells = [f"{row['seconds']:.3f}", gib(row['peak_bytes'])]
        if row['flops']:
            share = row['flops'] / row['seconds'] / rates[spec.precision]
            cells += [gib(row['live_bytes']), f"{row['flops'] / 1e12:.3f}",
                      f'{share:.1%}']
        table.row(*spec.cells, *cells)
        if row['parts']:
            own = (f'{n} {s:.3f}' for n, s in row['parts'].items())
            parts.append('- {}, {}, {} x {}, batch {}, {}: '.format(
                *spec.cells) + ', '.join(own))
    if parts:
        print('\nSeconds of parts:\n', *parts, sep='\n')


def print_compared(specs: List[Spec], report: Report,
                   args: argparse.Namespace) -> None:
    """Run all subjects of one task and size in turn."""
    groups: Dict[tuple, List[Spec]] = {}
    for spec in specs:
        groups.setdefault((spec.task, *spec[3:]), []).append(spec)
    for own in groups.values():
        if len(own) < 2:
            continue
        out = report.get('compared', ' | '.join(spec.key for spec in own),
                         compare, own, args.rounds)
        _, task, frames, size, batch, _ = own[0].cells
        print(f'\n{task}, {frames} frames of {size.replace("x", " x ")}, '
              f'batch {batch}, in turn, median of {args.rounds}:\n')
        table = Table(config=14, mode=14, s=8, ratio=6, outputs=12)
        for name, seconds in out['seconds'].items():
            config, mode = name.split(' ')
            outputs = out['difference'].get(name)
            table.row(Path(config).stem, mode, f'{seconds:.3f}',
                      f"{out['ratio'][name]:.3f}",
                      '-' if outputs is None else f'{outputs:.1e}')


def print_counted(specs: List[Spec], report: Report) -> None:
    """Memory and operations of steps that are not computed."""
    print()
    table = Table(**SPEC, live_GiB=8, states=8, TFLOP=8)
    for spec in specs:
        out = report.get('counted', spec.key, count_training, spec)
        table.row(*spec.cells, gib(out['live_bytes']),
                  gib(out['state_bytes']), f"{out['flops'] / 1e12:.3f}")


def print_loading(args: argparse.Namespace, report: Report) -> None:
    """Seconds of every transform of the pipelines."""
    for config in args.configs:
        out = report.get('loading', config, loading_times, config,
                         args.rounds)
        for split, rows in out.items():
            print(f'\nloading, {Path(config).stem}, {split}, one process:\n')
            table = Table(transform=24, s=8, share=6)
            total = sum(rows.values())
            for name, seconds in [*rows.items(), ('all', total)]:
                table.row(name, f'{seconds:.4f}', f'{seconds / total:.1%}')


def main(argv: Optional[List[str]] = None) -> None:
    """Measure and print."""
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    began = time.time()
    report = Report(args.json, args.device)
    print(', '.join(f'{k} {v}' for k, v in report.data['machine'].items()))
    specs = specs_of(args)
    if args.count_only:
        print_counted(specs, report)
        return
    if specs and args.alone_rounds:
        print_rows(specs, report, args)
    if args.compare:
        print_compared(specs, report, args)
    if 'loading' in args.task:
        print_loading(args, report)
    print(f'\ndone in {time.time() - began:.0f} s')


if __name__ == '__main__':
    sys.exit(run_main(main))
