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
import time
from itertools import product
from typing import Dict, List, Tuple

import torch
from benchmarking.counting import count_training
from benchmarking.loading import loading_times
from benchmarking.machine import describe, matmul_rate
from benchmarking.measuring import compare, measure_alone
from benchmarking.subjects import Spec
from benchmarking.tables import (compared_table, counted_row, head_of_counted,
                                 head_of_rows, loading_table, parts_of, row_of)


def parse_args(argv=None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='+', help='config files')
    parser.add_argument(
        '--task',
        nargs='+',
        default=['predict'],
        choices=('predict', 'train', 'backbone', 'loading'))
    parser.add_argument(
        '--mode',
        nargs='+',
        default=['fp32'],
        help='precision (fp32, tf32, bf16) and options: +cp (checkpoints '
        'activations), +compile, +chunkN (frames at a time), +plain (norms '
        'not folded, channels first), +published (the published way)')
    parser.add_argument(
        '--frames', nargs='+', type=int, default=[64], metavar='T')
    parser.add_argument(
        '--size', nargs='+', type=parse_size, default=[(224, 398)],
        metavar='HxW')
    parser.add_argument('--batch', nargs='+', type=int, default=[1])
    parser.add_argument(
        '--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument(
        '--rounds', type=int, default=5, help='the median counts')
    parser.add_argument(
        '--alone-rounds',
        type=int,
        help='rounds of what is measured alone, 0 for none of it; by default '
        '--rounds')
    parser.add_argument(
        '--compare',
        action='store_true',
        help='also measure all configs and modes in turn in one process')
    parser.add_argument(
        '--count-only',
        action='store_true',
        help='memory and operations of training steps, without computing '
        'them: for any size on any machine')
    parser.add_argument('--json', help='write the figures here as well')
    args = parser.parse_args(argv)
    if args.alone_rounds is None:
        args.alone_rounds = args.rounds
    if args.rounds < 1 or args.alone_rounds < 0:
        parser.error('--rounds is not positive')
    try:
        for spec in specs_of(args):
            spec.check()
            if args.count_only and (spec.task, spec.device) != ('train',
                                                                'cpu'):
                raise ValueError('--count-only is for --task train --device '
                                 'cpu')
    except ValueError as e:
        parser.error(str(e))
    for config in args.configs:
        if not os.path.isfile(config):
            parser.error(f'there is no config file {config}')
    return args


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

    def __init__(self, path: str, device: str) -> None:
        self.path = path
        self.data = dict(
            machine=describe(device), matmul={}, rows={}, compared={},
            counted={}, loading={})
        if path and os.path.isfile(path):
            with open(path, encoding='utf-8') as f:
                self.data.update(json.load(f))

    def get(self, section: str, key: str, make) -> dict:
        """A figure, measured unless it is there."""
        part = self.data[section]
        if key not in part:
            part[key] = make()
            if self.path:
                os.makedirs(
                    os.path.dirname(os.path.abspath(self.path)),
                    exist_ok=True)
                temporary = f'{self.path}.tmp'
                with open(temporary, 'w', encoding='utf-8') as f:
                    json.dump(self.data, f, indent=1)
                os.replace(temporary, self.path)
        return part[key]


def key_of(spec: Spec) -> str:
    """What identifies a row."""
    return ' '.join((spec.config, spec.mode, spec.task, str(spec.frames),
                     'x'.join(map(str, spec.size)), str(spec.batch),
                     spec.device))


def print_rows(specs: List[Spec], report: Report,
               args: argparse.Namespace) -> None:
    """Measure what is missing and print one line for each, then parts."""
    precisions = sorted({spec.precision for spec in specs})
    rates = {
        p: report.get('matmul', p, lambda p=p: matmul_rate(args.device, p))
        for p in precisions
    }
    for name, rate in rates.items():
        print(f'matrix products, {name}: {rate / 1e12:.3f} TFLOP/s')
    print(f'\n{head_of_rows()}')
    for spec in specs:
        row = report.get(
            'rows', key_of(spec), lambda spec=spec: measure_alone(
                spec, args.alone_rounds, args.threads))
        print(row_of(spec, row, rates[spec.precision]), flush=True)
    print('\nSeconds of parts:\n')
    for spec in specs:
        row = report.data['rows'][key_of(spec)]
        if 'error' not in row:
            print(parts_of(spec, row))


def print_compared(specs: List[Spec], report: Report,
                   args: argparse.Namespace) -> None:
    """Run all subjects of one task and size in turn."""
    groups: Dict[tuple, List[Spec]] = {}
    for spec in specs:
        groups.setdefault((spec.task, *spec[3:]), []).append(spec)
    for own in groups.values():
        if len(own) < 2:
            continue
        out = report.get('compared', ' | '.join(map(key_of, own)),
                         lambda own=own: compare(own, args.rounds))
        print(f'\n{compared_table(own, out, args.rounds)}', flush=True)


def print_counted(specs: List[Spec], report: Report) -> None:
    """Memory and operations of steps that are not computed."""
    print(f'\n{head_of_counted()}')
    for spec in specs:
        out = report.get('counted', key_of(spec),
                         lambda spec=spec: count_training(spec))
        print(counted_row(spec, out), flush=True)


def print_loading(args: argparse.Namespace, report: Report) -> None:
    """Seconds of every transform of the pipelines."""
    for config in args.configs:
        out = report.get('loading', config,
                         lambda config=config: loading_times(
                             config, args.rounds))
        for split, rows in out.items():
            print(f'\n{loading_table(config, split, rows)}', flush=True)


def main(argv=None) -> None:
    """Measure and print."""
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    began = time.time()
    report = Report(args.json, args.device)
    machine = report.data['machine']
    print(', '.join(f'{k} {v}' for k, v in machine.items()))
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
    main()
