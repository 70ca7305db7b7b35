# Copyright (c) costa_mm authors. All rights reserved.
"""Finished runs as Markdown."""
from typing import Dict, List, Mapping, Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.stats import nct, t, ttest_rel
from synthetic_benchmark.results import mean_and_deviation
from synthetic_benchmark.tables import number, table

from .study import Study

SCORES = ('m_tIoU', 'm_vIoU', 'vIoU@0.5', 'm_sIoU', 'sIoU_acts', 'sIoU_rests')
TOLD = ('true labels', 'inverted labels', 'all labels 0',
        'spatial decoder, one frame at a time', 'after layer 1')
PLAIN = 'as it is'

#: Runs of a row by seed.
Runs = Mapping[int, dict]


def smallest_change(deviation: float,
                    num: int,
                    power: float = 0.8,
                    level: float = 0.05) -> float:
    """Change of a mean that a paired t-test of runs finds that often.

    Args:
        deviation (float): Standard deviation over seeds of one row; the
            difference of two rows is taken to have sqrt(2) times as much, as
            if pairing gained nothing.
        num (int): Seeds.
        power (float): How often it is to be found.
        level (float): Of the two-sided test.
    """
    free = num - 1
    limit = t.ppf(1 - level / 2, free)

    def found(effect: float) -> float:
        shift = effect * num**0.5
        # far out scipy gives NaN for a tail that holds nothing any more
        below, other = np.nan_to_num(nct.cdf([limit, -limit], free, shift))
        return 1 - below + other

    effect = brentq(lambda d: found(d) - power, 1e-3, 50)
    return effect * deviation * 2**0.5


def report(study: Study, results: Mapping[str, Runs], first: int = 3) -> str:
    """All tables.

    Args:
        study (Study): What was planned.
        results (Mapping): Finished runs by row and seed.
        first (int): So many seeds of the first row state the power.
    """
    blocks = [_power(study, results, first)]
    for title, rows in study.tables.items():
        rows = [r for r in rows if results.get(r)]
        if rows:
            blocks += [f'## {title}', _scores(study, rows, results)]
            blocks += [_changes(study, rows, results)] if rows[1:] else []
    blocks += ['## What the spatial decoder is told', _told(study, results)]
    missing = [f'{row} ({len(study.seeds) - len(results.get(row, {}))})'
               for row in study.rows
               if len(results.get(row, {})) < len(study.seeds)]
    blocks += ['Runs that are missing: ' + (', '.join(missing) or 'none')]
    return '\n\n'.join(blocks) + '\n'


def _values(runs: Runs, metric: str, probe: str = PLAIN) -> Dict[int, float]:
    return {
        seed: run['scores'][probe][metric]
        for seed, run in runs.items()
        if metric in run['scores'].get(probe, {})
    }


def _power(study: Study, results: Mapping[str, Runs], first: int) -> str:
    row = next(iter(study.rows))
    runs = dict(sorted(results.get(row, {}).items())[:first])
    if len(runs) < 2:
        return 'Too few runs of the first row to state the power.'
    num = len(study.seeds)
    rows = [['', 'deviation', f'smallest change, {num} seeds']]
    for metric in SCORES:
        values = list(_values(runs, metric).values())
        if values:
            deviation = float(np.std(values, ddof=1))
            rows.append([metric, f'{deviation:.3f}',
                         f'{smallest_change(deviation, num):.3f}'])
    return (f'Stated from the first {len(runs)} seeds of '
            f'"{study.title(row)}": the change that {num} paired seeds find '
            'four times in five at the level of 5 %.\n\n' + table(rows))


def _scores(study: Study, rows: Sequence[str],
            results: Mapping[str, Runs]) -> str:
    body = [['', 'seeds', *SCORES]]
    for row in rows:
        cells = [_values(results[row], m) for m in SCORES]
        body.append([study.title(row), str(len(results[row]))] + [
            number(mean_and_deviation(list(c.values())) if c else None)
            for c in cells
        ])
    return table(body)


def _changes(study: Study, rows: Sequence[str],
             results: Mapping[str, Runs]) -> str:
    """Paired with the first row, by seed."""
    body = [[f'change from {study.title(rows[0])}', 'pairs', *SCORES]]
    for row in rows[1:]:
        pairs = set(results[rows[0]]) & set(results[row])
        body.append([study.title(row), str(len(pairs))] + [
            paired(_values(results[rows[0]], m), _values(results[row], m))
            for m in SCORES
        ])
    return table(body)


def paired(one: Mapping[int, float], two: Mapping[int, float]) -> str:
    """Mean change and its 95 % interval over seeds; bold without 0."""
    seeds = sorted(set(one) & set(two))
    if len(seeds) < 2:
        return '-'
    first, second = ([x[s] for s in seeds] for x in (one, two))
    change = float(np.mean(second) - np.mean(first))
    low, high = ttest_rel(second, first).confidence_interval(.95)
    text = f'{change:+.3f} [{low:+.3f}, {high:+.3f}]'
    return f'**{text}**' if low * high > 0 else text


def _told(study: Study, results: Mapping[str, Runs]) -> str:
    """m_sIoU told something else, against the row as it is."""
    body: List[List[str]] = [['m_sIoU, change from as it is', PLAIN, *TOLD]]
    for row, runs in results.items():
        plain = _values(runs, 'm_sIoU')
        if plain:
            body.append([
                study.title(row),
                number(mean_and_deviation(list(plain.values())))
            ] + [paired(plain, _values(runs, 'm_sIoU', p)) for p in TOLD])
    return table(body)
