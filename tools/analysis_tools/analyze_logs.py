# Copyright (c) costa_mm authors. All rights reserved.
"""Convergence plots and training time from MMEngine's logs.

    python tools/analysis_tools/analyze_logs.py plot_curve LOG [LOG ...]
        [--keys loss m_vIoU] [--legend A B] [--title T] [--out curves.png]
    python tools/analysis_tools/analyze_logs.py cal_train_time LOG [LOG ...]

A LOG is a ``vis_data/scalars.json`` of a run, or a work folder, whose runs
are put together: where one was resumed, the later values count.
"""
import argparse
import json
import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

import matplotlib
import numpy as np

from costa_mm.cli.running import run_main

Curve = Tuple[List[float], List[float]]  # iterations and values


class Log(NamedTuple):
    """What a log holds.

    Attributes:
        train (list[dict]): Entries of training in order, each with ``step``,
            the iteration.
        evals (list[dict]): Entries of evaluations, each with ``step``, the
            iteration before it, also where MMEngine counts epochs.
    """
    train: List[dict]
    evals: List[dict]


def read_log(path: str) -> Log:
    """Read a log file or all of a work folder.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If a line is not of a log, or there is no line.
    """
    root = Path(path)
    files = [root] if root.is_file() else sorted(
        root.glob('*/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(
            f'{path} is neither a log (scalars.json) nor a work folder with '
            'logs (*/vis_data/scalars.json)')
    log = Log([], [])
    for file in files:
        _append(log, _read_lines(file))
    if not log.train and not log.evals:
        raise ValueError(f'{path} holds no values yet')
    return log


def _read_lines(file: Path) -> List[dict]:
    entries = []
    for number, line in enumerate(file.read_text().splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError as e:
            raise ValueError(f'{file}, line {number}: {e}') from e
        if not isinstance(entry, dict) or 'step' not in entry:
            raise ValueError(f'{file}, line {number} is no entry of a log '
                             'of MMEngine (scalars.json)')
        entries.append(entry)
    return entries


def _append(log: Log, entries: List[dict]) -> None:
    """Add the entries of a run; what it did again is replaced."""
    first = next((e['step'] for e in entries if 'loss' in e), None)
    if first is not None:
        log.train[:] = [e for e in log.train if e['step'] < first]
        log.evals[:] = [e for e in log.evals if e['step'] < first]
    for entry in entries:
        if 'loss' in entry:
            log.train.append(entry)
        else:
            step = log.train[-1]['step'] if log.train else entry['step']
            log.evals.append(dict(entry, step=step))


def curve(log: Log, key: str) -> Tuple[Curve, bool]:
    """Values of a key over iterations, and whether they are evaluations.

    Args:
        log (:obj:`Log`): The log.
        key (str): As in the log, or what follows its last slash: ``m_vIoU``
            finds ``stvg/m_vIoU``.

    Raises:
        KeyError: If the log has no such key; names those it has.
    """
    for entries, is_eval in ((log.train, False), (log.evals, True)):
        names = {n for e in entries for n in e
                 if key in (n, n.rsplit('/', 1)[-1])}
        if names:
            name = key if key in names else min(names)
            found = [(e['step'], e[name]) for e in entries if name in e]
            steps, values = zip(*found)
            return (list(steps), list(values)), is_eval
    known = sorted({n for e in log.train + log.evals for n in e})
    raise KeyError(f'no {key!r} in the log; it has {", ".join(known)}')


def plot_curve(args: argparse.Namespace) -> None:
    """Training values above, evaluations below, over one axis."""
    if args.backend or args.out:
        matplotlib.use(args.backend or 'Agg')
    import matplotlib.pyplot as plt
    legend = args.legend or [
        f'{log} {key}' if len(args.json_logs) > 1 else key
        for log in args.json_logs for key in args.keys
    ]
    if len(legend) != len(args.json_logs) * len(args.keys):
        raise ValueError(f'{len(legend)} names in --legend for '
                         f'{len(args.json_logs)} logs with {len(args.keys)} '
                         'keys each')
    logs = [read_log(path) for path in args.json_logs]
    curves = [curve(log, key) for log in logs for key in args.keys]
    panels = sorted({is_eval for _, is_eval in curves})
    plt.style.use(args.style)
    figure, axes = plt.subplots(
        len(panels), 1, sharex=True, squeeze=False, layout='constrained',
        figsize=(8, 1.5 + 2.7 * len(panels)))
    for i, ((values, is_eval), name) in enumerate(zip(curves, legend)):
        axis = axes[panels.index(is_eval), 0]
        axis.plot(*values, label=name, color=f'C{i}', lw=1.4,
                  marker='o' if is_eval else None, ms=4)
    for axis, is_eval in zip(axes[:, 0], panels):
        axis.set_ylabel('evaluation' if is_eval else 'training')
        axis.grid(alpha=0.3)
        axis.legend()
    axes[-1, 0].set_xlabel('iteration')
    figure.suptitle(args.title or '')
    _show_or_save(plt, figure, args.out)


def _show_or_save(plt, figure, out: str) -> None:
    if out:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out, dpi=150)
        print(f'save curve to: {out}')
    else:
        plt.show()
    plt.close(figure)


def epoch_times(log: Log, include_outliers: bool) -> Dict[int, float]:
    """Mean seconds per iteration of every epoch.

    Args:
        log (:obj:`Log`): The log.
        include_outliers (bool): Whether the first value of an epoch counts,
            which has the start of the workers in it.  It does where every
            epoch has one value only.

    Raises:
        ValueError: If there are no values of training.
    """
    epochs: Dict[int, List[float]] = {}
    for entry in log.train:
        epochs.setdefault(entry.get('epoch', 1), []).append(entry['time'])
    if not epochs:
        raise ValueError('the log has no iterations of training yet: log '
                         'more often (default_hooks.logger.interval)')
    single = max(map(len, epochs.values())) == 1
    skip = 0 if include_outliers or single else 1
    means = {e: float(np.mean(t[skip:])) for e, t in epochs.items()
             if len(t) > skip}
    return means


def cal_train_time(args: argparse.Namespace) -> None:
    """Print how long an iteration took."""
    for path in args.json_logs:
        times = epoch_times(read_log(path), args.include_outliers)
        slow, fast = max(times, key=times.get), min(times, key=times.get)
        values = np.array(list(times.values()))
        print(f'-----Analyze train time of {path}-----')
        print(f'slowest epoch {slow}, average time is {times[slow]:.4f} '
              's/iter')
        print(f'fastest epoch {fast}, average time is {times[fast]:.4f} '
              's/iter')
        print(f'time std over epochs is {values.std():.4f}')
        print(f'average iter time: {values.mean():.4f} s/iter\n')


def parse_args(argv: Sequence[str] = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description='Analyze logs of MMEngine')
    tasks = parser.add_subparsers(dest='task', required=True)
    plot = tasks.add_parser('plot_curve', help='plot values over iterations')
    time = tasks.add_parser('cal_train_time', help='seconds per iteration')
    for task in (plot, time):
        task.add_argument('json_logs', nargs='+', metavar='LOG',
                          help='scalars.json of a run, or a work folder')
    plot.add_argument('--keys', nargs='+', default=['loss', 'm_vIoU'],
                      help='values to plot')
    plot.add_argument('--title', help='title of the figure')
    plot.add_argument('--legend', nargs='+', help='names of the curves: all '
                      'keys of the first log, then of the second, ...')
    plot.add_argument('--backend', help='backend of matplotlib')
    plot.add_argument('--style', default='default',
                      help='style of matplotlib')
    plot.add_argument('--out', help='file to write, instead of a window')
    time.add_argument('--include-outliers', action='store_true',
                      help='count the first value of every epoch too')
    return parser.parse_args(argv)


def main() -> None:
    """Do what is asked."""
    args = parse_args()
    dict(plot_curve=plot_curve, cal_train_time=cal_train_time)[args.task](args)


if __name__ == '__main__':
    sys.exit(run_main(main))
