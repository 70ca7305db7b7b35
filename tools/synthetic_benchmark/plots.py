# Copyright (c) costa_mm authors. All rights reserved.
"""Plots of a comparison."""
from pathlib import Path
from typing import List, Tuple

import numpy as np

from .protocol import BenchmarkProtocol

_DPI = 120


def write_plots(summary: dict, protocol: BenchmarkProtocol,
                folder: Path) -> List[Path]:
    """Draw what there is.

    Args:
        summary (dict): Of :func:`summarize_results`.
        protocol (BenchmarkProtocol): What is fixed.
        folder (Path): Where to.

    Returns:
        list[Path]: ``convergence.png`` (as Fig. 2 of the paper),
        ``errors.png``, ``consistency.png`` and ``factor_NAME.png`` for every
        factor that differs between samples; none without a finished run.
    """
    from matplotlib.figure import Figure
    folder.mkdir(parents=True, exist_ok=True)
    entries = [(name, summary['methods'][name]) for name in protocol.methods
               if name in summary['methods']]
    if not entries:
        return []
    figures = dict(
        convergence=_convergence(Figure(figsize=(9, 4)), entries),
        errors=_errors(Figure(figsize=(7, 4)), entries),
        consistency=_consistency(Figure(figsize=(7, 3.5)), entries))
    for factor, values in entries[0][1]['factors'].items():
        if len(values) > 1:
            figures[f'factor_{factor}'] = _factor(
                Figure(figsize=(9, 4)), entries, factor)
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f'{name}.png')
        figure.savefig(paths[-1], dpi=_DPI, bbox_inches='tight')
    return paths


def _means(values: List[dict]) -> Tuple[np.ndarray, np.ndarray]:
    """Means and deviations; a single run has the deviation 0."""
    return (np.array([v['mean'] for v in values]),
            np.array([v['deviation'] or 0. for v in values]))


def _convergence(figure, entries):
    for i, (metric, name) in enumerate(
            (('m_sIoU', 'sIoU'), ('m_vIoU', 'vIoU'))):
        axes = figure.add_subplot(1, 2, i + 1)
        for k, (_, entry) in enumerate(entries):
            steps = list(entry['curve'])
            if not steps:
                continue
            mean, spread = _means([entry['curve'][s][metric] for s in steps])
            steps = [int(s) for s in steps]
            colour = f'C{k % 10}'
            style = '-' if k < 10 else '--'
            axes.plot(steps, mean, style, color=colour, label=entry['title'])
            axes.fill_between(
                steps, mean - spread, mean + spread, color=colour, alpha=.15)
        axes.set_xlabel('iteration')
        axes.set_title(f'{name} on the validation split')
        axes.grid(alpha=.3)
    axes.legend(fontsize=7, loc='center left', bbox_to_anchor=(1.02, .5))
    return figure


def _bars(figure, entries, values, title: str):
    """One bar per method."""
    axes = figure.add_subplot()
    mean, spread = _means(values)
    axes.bar(range(len(entries)), mean, yerr=spread, capsize=3)
    _name_bars(axes, entries)
    axes.set_title(title)
    return figure


def _name_bars(axes, entries) -> None:
    axes.set_xticks(
        range(len(entries)), [e['title'] for _, e in entries],
        rotation=35,
        ha='right')
    axes.grid(axis='y', alpha=.3)


def _errors(figure, entries):
    axes = figure.add_subplot()
    below = np.zeros(len(entries))
    for name in ('time', 'place', 'object'):
        mean, _ = _means([e['scores'][f'err_{name}'] for _, e in entries])
        axes.bar(range(len(entries)), mean, bottom=below, label=name)
        below += mean
    _name_bars(axes, entries)
    axes.set_title('what is missing from a perfect vIoU')
    axes.legend()
    return figure


def _consistency(figure, entries):
    known = [(n, e) for n, e in entries if 'jump_rate' in e['scores']]
    return _bars(figure, known, [e['scores']['jump_rate'] for _, e in known],
                 'jump rate inside the predicted span')


def _factor(figure, entries, factor: str):
    axes = figure.add_subplot()
    values = entries[0][1]['factors'][factor]
    width = .8 / len(entries)
    for k, (_, entry) in enumerate(entries):
        mean, spread = _means(
            [entry['factors'][factor][v]['m_vIoU'] for v in values])
        axes.bar(
            np.arange(len(values)) + k * width,
            mean,
            width,
            yerr=spread,
            label=entry['title'])
    axes.set_xticks(
        np.arange(len(values)) + .4 - width / 2,
        [f'{v}\n({s["samples"]})' for v, s in values.items()],
        fontsize=8)
    axes.set_title(f'm_vIoU by {factor}')
    axes.legend(fontsize=7)
    axes.grid(axis='y', alpha=.3)
    return figure
