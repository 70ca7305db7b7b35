# Copyright (c) costa_mm authors. All rights reserved.
"""Train, evaluate and compare methods under one frozen protocol.

What is fixed (data, steps, schedules, seeds, tuning) stands in
configs/benchmark/protocol.json and is checked before every run.  The tool may
be interrupted at any time: what is done is not done again, and a training
goes on where it was.
"""
import argparse
import json
import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Dict, List, Optional

from mmengine.config import Config
from synthetic_benchmark import (BenchmarkProtocol, Executor, Scale, Stopper,
                                 collect_results, execute_runs, make_data,
                                 make_runs, summarize_results, write_plots,
                                 write_report)

from costa_mm.cli.running import run_main
from costa_mm.structures import Tube, dump_tubes, load_tubes
from costa_mm.utils.files import write_json

ROOT = Path(__file__).resolve().parents[1]
PROTOCOL = ROOT / 'configs' / 'benchmark' / 'protocol.json'


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--scale', default='cpu', help="'cpu' (default) or 'gpu'")
    parser.add_argument(
        '--methods', nargs='+', help='default: all of the protocol')
    parser.add_argument(
        '--seeds', nargs='+', type=int, help='default: all of the protocol')
    parser.add_argument(
        '--jobs', type=int, default=1,
        help='runs side by side; on GPUs job i takes GPU i of those visible')
    parser.add_argument(
        '--minutes', type=float,
        help='stop after so many minutes; the next call goes on')
    parser.add_argument(
        '--threads', type=int,
        help='CPU threads per run (default: CPUs / jobs)')
    parser.add_argument(
        '--out', type=Path, default=Path('work_dirs/benchmark'),
        help='folder of the runs and of the report')
    parser.add_argument(
        '--data-root', type=Path,
        help='the data, made there unless they are there already (default: '
        'data/synthetic_<level>_seed<seed>)')
    parser.add_argument(
        '--protocol', type=Path, default=PROTOCOL, help='protocol file')
    parser.add_argument(
        '--report-only', action='store_true',
        help='run nothing, write the tables and plots of what is there')
    parser.add_argument(
        '--freeze', action='store_true',
        help='write the digests of the present configs into the protocol '
        'file, and nothing else; runs of other digests do not count any more')
    args = parser.parse_args()
    if args.jobs < 1:
        parser.error('--jobs must be positive')
    return args


def job_devices(jobs: int) -> List[Optional[str]]:
    """A GPU for every job, in turn; None without GPUs."""
    import torch
    if not torch.cuda.is_available():
        return [None] * jobs
    visible = os.environ.get('CUDA_VISIBLE_DEVICES')
    names = visible.split(',') if visible else [
        str(i) for i in range(torch.cuda.device_count())
    ]
    return [names[i % len(names)] for i in range(jobs)]


def true_tubes(cfg: Config, data_root: Path) -> Dict[str, Tube]:
    """Ground truth of the test split, with factors."""
    from mmengine.registry import init_default_scope

    import costa_mm.datasets  # noqa: F401  registers the datasets
    from costa_mm.registry import DATASETS
    init_default_scope('costa_mm')
    dataset = DATASETS.build(
        dict(
            cfg.test_dataloader.dataset,
            pipeline=[],
            data_root=str(data_root)))
    records = map(dataset.get_data_info, range(len(dataset)))
    return {
        r['sample_id']: replace(r['gt_tube'], factors=r['factors'])
        for r in records
    }


def prepare(protocol: BenchmarkProtocol, scale: Scale, data_root: Path,
            folder: Path) -> None:
    """Data, exchanged sentences, and what the report needs of the data."""
    sys.path.insert(0, str(ROOT / 'tools' / 'dataset_converters'))
    from shuffle_sentences import shuffle_sentences
    make_data(data_root, scale.data, num_workers=os.cpu_count() or 1)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ('oracles.json', 'meta.json'):
        shutil.copyfile(data_root / name, folder / name)
    split = protocol.evaluation['split']
    annotations = json.loads(
        (data_root / f'{split}.json').read_text(encoding='utf-8'))
    shuffled = shuffle_sentences(annotations,
                                 protocol.evaluation['shuffle_seed'])
    write_json(shuffled, folder / 'shuffled.json')
    cfg = protocol.config(scale, protocol.reference)
    dump_tubes(true_tubes(cfg, data_root), folder / 'ground_truth.json')


def run(args: argparse.Namespace, protocol: BenchmarkProtocol, scale: Scale,
        folder: Path) -> Dict:
    """Execute the runs that were asked for; returns the failures."""
    methods = args.methods or list(protocol.methods)
    seeds = args.seeds or list(scale.seeds)
    protocol.check_methods(methods, '--methods')
    scale.check_seeds(seeds)
    for method in methods:
        protocol.check_config(scale, method)
    data_root = args.data_root or Path('data') / scale.folder_name
    prepare(protocol, scale, data_root, folder)
    stopper = Stopper(args.minutes and 60 * args.minutes)
    threads = args.threads or max(1, (os.cpu_count() or 1) // args.jobs)
    executor = Executor(ROOT / 'tools', protocol, scale, data_root,
                        folder / 'shuffled.json', threads, stopper)
    runs = make_runs(args.out, scale, methods, seeds)
    before = signal.signal(signal.SIGTERM, lambda *_: stopper.stop())
    try:
        return execute_runs(executor, runs, job_devices(args.jobs),
                            lambda line: print(line, flush=True))
    finally:
        signal.signal(signal.SIGTERM, before)


def report(args: argparse.Namespace, protocol: BenchmarkProtocol,
           scale: Scale, folder: Path) -> None:
    """Write tables and plots of all finished runs of the protocol."""
    runs = make_runs(args.out, scale, list(protocol.methods), scale.seeds)
    if not (folder / 'ground_truth.json').is_file():
        raise FileNotFoundError(
            f'no runs in {folder}: give the --out of earlier ones, or run '
            'some, without --report-only')
    truth = load_tubes(folder / 'ground_truth.json')
    oracles = json.loads(
        (folder / 'oracles.json').read_text(encoding='utf-8'))
    results = collect_results(protocol, scale, runs, truth)
    summary = summarize_results(protocol, scale, results, runs, oracles)
    target = folder / 'report'
    write_report(summary, protocol, target)
    write_plots(summary, protocol, target)
    count = sum(map(len, results.values()))
    print(f'{target}: {count} finished runs, {len(summary["missing"])} '
          'missing')


def main() -> int:
    """Run and report; 1 if a run failed."""
    args = parse_args()
    protocol = BenchmarkProtocol(args.protocol)
    if args.freeze:
        protocol.freeze()
        print(f'{args.protocol}: frozen')
        return 0
    scale = protocol.scale(args.scale)
    folder = args.out / scale.name
    failures = {}
    if not args.report_only:
        failures = run(args, protocol, scale, folder)
    report(args, protocol, scale, folder)
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(run_main(main))
