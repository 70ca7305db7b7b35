# Copyright (c) costa_mm authors. All rights reserved.
"""Tables of a comparison as Markdown, CSV and JSON."""
import csv
import io
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

from costa_mm.utils.files import write_json, write_text
from .protocol import BenchmarkProtocol
from .results import CURVES, METRICS, PER_SAMPLE

_ERRORS = dict(
    err_time='lost to time',
    err_place='lost to place',
    err_object='lost to object',
    jump_rate='jump rate')
_ABSENT = 'not run'


def write_report(summary: dict, protocol: BenchmarkProtocol,
                 folder: Path) -> None:
    """Write ``results.json``, ``tables.md`` and ``tables.csv``.

    Args:
        summary (dict): Of :func:`summarize_results`.
        protocol (BenchmarkProtocol): What is fixed.
        folder (Path): Where to.
    """
    write_json(summary, folder / 'results.json', indent=1)
    write_text(markdown_report(summary, protocol), folder / 'tables.md')
    write_text(csv_report(summary), folder / 'tables.csv')


def markdown_report(summary: dict, protocol: BenchmarkProtocol) -> str:
    """All tables, and what they lack, as Markdown."""
    blocks = [_heading(summary)]
    blocks += [
        f'## {title}\n\n' + score_table(summary, protocol, rows)
        for title, rows in protocol.tables.items()
    ]
    blocks += [
        '## Ceilings, and predictors that see nothing\n\n' +
        oracle_table(summary['oracles']),
        '## Change from the reference\n\n' +
        change_table(summary, protocol),
        '## What a tube is lost to, and consistency\n\n' +
        error_table(summary, protocol),
        '## Scores with other videos\' sentences\n\n' +
        shuffled_table(summary, protocol),
        *(f'## m_vIoU by {factor}\n\n' +
          factor_table(summary, protocol, factor)
          for factor in _factors(summary)),
        '## Training curves (validation split)\n\n' +
        curve_table(summary, protocol), _missing(summary, protocol)
    ]
    if summary['under_way']:
        blocks.append(_under_way(summary['under_way'], protocol))
    return '\n\n'.join(blocks) + '\n'


def _heading(summary: dict) -> str:
    data = summary['data']
    count = sum(len(m['seeds']) for m in summary['methods'].values())
    return (f'# Synthetic benchmark at scale {summary["scale"]}\n\n'
            f'Protocol version {summary["version"]}, level {data["level"]}, '
            f'generator version {data["version"]}, data seed {data["seed"]}, '
            f'{data["sizes"]["train"]} training and {data["sizes"]["test"]} '
            f'test samples; {count} finished runs, '
            f'{len(summary["missing"])} missing. Figures are means over '
            'seeds, with the standard deviation where there are two or more.')


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a Markdown table; all columns but the first to the right."""
    head, *body = rows
    lines = ['| ' + ' | '.join(head) + ' |',
             '|---' + '|---:' * (len(head) - 1) + '|']
    lines += ['| ' + ' | '.join(row) + ' |' for row in body]
    return '\n'.join(lines)


def number(value: Optional[dict]) -> str:
    """A mean, with its deviation where there is one."""
    if value is None:
        return '-'
    if value['deviation'] is None:
        return f'{value["mean"]:.3f}'
    return f'{value["mean"]:.3f} ± {value["deviation"]:.3f}'


def score_table(summary: dict, protocol: BenchmarkProtocol,
                names: Sequence[str]) -> str:
    """Scores of some methods; a method without a run says so."""
    rows = [('method', 'seeds', *METRICS, 'parameters', 'minutes')]
    for name in names:
        entry = summary['methods'].get(name)
        if entry is None:
            rows.append((protocol.title(name), '0', _ABSENT) + ('', ) *
                        (len(rows[0]) - 3))
            continue
        count = entry['parameters']
        rows.append((entry['title'], str(len(entry['seeds'])),
                     *(number(entry['scores'].get(m)) for m in METRICS),
                     '-' if count is None else f'{count / 1e6:.2f} M',
                     f'{entry["minutes"]["mean"]:.1f}'))
    return table(rows)


def oracle_table(oracles: dict) -> str:
    """Ceilings and trivial predictors of the data."""
    rows = [('oracle', *METRICS)]
    for name, scores in oracles['oracles'].items():
        rows.append((f'`{name}`', *(f'{scores[m]:.3f}' for m in METRICS)))
    return table(rows)


def change_table(summary: dict, protocol: BenchmarkProtocol) -> str:
    """Changes with their intervals."""
    rows = [('method', 'seeds', *PER_SAMPLE)]
    for _, entry in _ordered(summary, protocol):
        if entry['change'] is None:
            continue
        known = [c for c in entry['change'].values() if c is not None]
        seeds = len(known[0]['seeds']) if known else 0
        rows.append((entry['title'], str(seeds),
                     *(_interval(entry['change'][m]) for m in PER_SAMPLE)))
    if len(rows) == 1:
        return 'There is nothing to compare yet.'
    draws = summary['evaluation']['bootstrap_draws']
    over_seeds = [('method', *PER_SAMPLE)]
    for _, entry in _ordered(summary, protocol):
        change = entry['seed_change']
        if change is not None and any(change.values()):
            over_seeds.append((entry['title'],
                               *(_interval(change[m]) for m in PER_SAMPLE)))
    out = (f'Method minus {protocol.title(summary["reference"])}, mean over '
           'the seeds that both have; in brackets 95 % of '
           f'{draws} paired bootstrap resamples of the test samples. They '
           'say how far the test samples determine the figure, not how far '
           'another seed would change it.\n\n' + table(rows))
    if len(over_seeds) > 1:
        out += ('\n\nThe same with all seeds of both; in brackets the 95 % '
                "confidence interval of Welch's t, a run being one "
                'observation. They say how far other seeds would change the '
                'figure on these test samples.\n\n' + table(over_seeds))
    return out


def _interval(value: Optional[dict]) -> str:
    if value is None:
        return '-'
    return (f'{value["change"]:+.3f} [{value["low"]:+.3f}, '
            f'{value["high"]:+.3f}]')


def error_table(summary: dict, protocol: BenchmarkProtocol) -> str:
    """Error split and jump rate."""
    rows = [('method', *_ERRORS.values())]
    for _, entry in _ordered(summary, protocol):
        rows.append((entry['title'],
                     *(number(entry['scores'].get(m)) for m in _ERRORS)))
    return table(rows)


def shuffled_table(summary: dict, protocol: BenchmarkProtocol) -> str:
    """Scores when every video has another's sentence."""
    rows = [('method', *METRICS)]
    for _, entry in _ordered(summary, protocol):
        rows.append((entry['title'],
                     *(number(entry['shuffled'][m]) for m in METRICS)))
    return table(rows)


def factor_table(summary: dict, protocol: BenchmarkProtocol,
                 factor: str) -> str:
    """m_vIoU per value of a factor."""
    values = _factors(summary)[factor]
    rows = [('method', *(f'{v} ({n})' for v, n in values.items()))]
    for _, entry in _ordered(summary, protocol):
        scores = entry['factors'].get(factor, {})
        rows.append((entry['title'], *(number(scores[v]['m_vIoU'])
                                       if v in scores else '-'
                                       for v in values)))
    return table(rows)


def curve_table(summary: dict, protocol: BenchmarkProtocol) -> str:
    """sIoU and vIoU over the training, as in Fig. 2 of the paper."""
    steps = sorted({int(s)
                    for m in summary['methods'].values() for s in m['curve']})
    if not steps:
        return 'No finished run has validated.'
    parts = []
    for metric in ('m_sIoU', 'm_vIoU'):
        rows = [(f'{metric} after iteration', *map(str, steps))]
        for _, entry in _ordered(summary, protocol):
            curve = {int(k): v for k, v in entry['curve'].items()}
            rows.append((entry['title'], *(number(curve[s][metric]) if s in
                                           curve else '-' for s in steps)))
        parts.append(table(rows))
    return '\n\n'.join(parts)


def _missing(summary: dict, protocol: BenchmarkProtocol) -> str:
    if not summary['missing']:
        return '## Missing runs\n\nNone.'
    states = dict(
        new='not begun',
        begun='not finished',
        stale='of other settings than the frozen ones')
    rows = [('method', 'seed', 'state')]
    for m in summary['missing']:
        rows.append((protocol.title(m['method']), str(m['seed']),
                     states[m['state']]))
    return '## Missing runs\n\n' + table(rows)


def _under_way(found: dict, protocol: BenchmarkProtocol) -> str:
    """All runs, finished or not, on the validation split."""
    scores, over_seeds = [('method', 'seeds', *CURVES)], [('method', *CURVES)]
    for name in protocol.methods:
        entry = found['methods'].get(name)
        if entry is None:
            continue
        values = [entry['scores'].get(m) for m in CURVES]
        seeds = max(v['runs'] for v in values if v)
        scores.append((protocol.title(name), str(seeds),
                       *map(number, values)))
        if entry['seed_change'] and any(entry['seed_change'].values()):
            over_seeds.append((protocol.title(name), *(
                _interval(entry['seed_change'][m]) for m in CURVES)))
    out = (f'## All runs after iteration {found["step"]} (validation split)'
           '\n\nThe last iteration at which every run that was begun has '
           'validated. These are no results: the training goes on.\n\n' +
           table(scores))
    if len(over_seeds) > 1:
        out += ('\n\nChange from '
                f'{protocol.title(protocol.reference)}, with the 95 % '
                "confidence interval of Welch's t over runs.\n\n" +
                table(over_seeds))
    return out


def _ordered(summary: dict,
             protocol: BenchmarkProtocol) -> Iterator[Tuple[str, dict]]:
    """Methods that have a finished run, in the protocol's order."""
    for name in protocol.methods:
        if name in summary['methods']:
            yield name, summary['methods'][name]


def _factors(summary: dict) -> Dict[str, Dict[str, int]]:
    """Values of all factors that differ, with their numbers of samples."""
    out: Dict[str, Dict[str, int]] = {}
    for entry in summary['methods'].values():
        for factor, values in entry['factors'].items():
            if len(values) > 1:
                out[factor] = {v: s['samples'] for v, s in values.items()}
    return out


def csv_report(summary: dict) -> str:
    """Every figure in a line: method, what, metric, mean, deviation, runs."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator='\n')
    writer.writerow(('method', 'table', 'metric', 'mean', 'deviation', 'runs',
                     'low', 'high'))
    for name, entry in summary['methods'].items():
        writer.writerows(_csv_rows(name, entry))
    for name, scores in summary['oracles']['oracles'].items():
        for metric in METRICS:
            writer.writerow((name, 'oracle', metric, scores[metric], '', '',
                             '', ''))
    for run in summary['missing']:
        writer.writerow((run['method'], f'missing seed {run["seed"]}',
                         run['state'], '', '', '', '', ''))
    return stream.getvalue()


def _csv_rows(name: str, entry: dict) -> Iterator[List]:
    def line(table_name: str, metric: str, value: dict) -> List:
        return [
            name, table_name, metric, value['mean'], value['deviation'],
            value['runs'], '', ''
        ]

    for kind in ('scores', 'shuffled'):
        for metric, value in entry[kind].items():
            yield line(kind, metric, value)
    for factor, values in entry['factors'].items():
        for value, scores in values.items():
            for metric in METRICS:
                yield line(f'{factor}={value}', metric, scores[metric])
    for step, scores in entry['curve'].items():
        for metric in CURVES:
            yield line(f'validation at {step}', metric, scores[metric])
    for metric, change in (entry['change'] or {}).items():
        if change is not None:
            yield [
                name, 'change', metric, change['change'], '',
                len(change['seeds']), change['low'], change['high']
            ]
    for metric, change in (entry['seed_change'] or {}).items():
        if change is not None:
            yield [
                name, 'change over seeds', metric, change['change'], '',
                len(entry['seeds']), change['low'], change['high']
            ]
