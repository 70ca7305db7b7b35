# Copyright (c) costa_mm authors. All rights reserved.
"""Two predictions of the same samples, side by side."""
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np

from .diagnostics import main_error
from .protocols import ProtocolLike, get_protocol
from .report import SampleRecord, means, text_table

#: Scores smaller than this apart count as equal.
SAME = 1e-6


def compare_records(first: Sequence[SampleRecord],
                    second: Sequence[SampleRecord],
                    protocol: ProtocolLike,
                    sort_by: str = 'viou') -> dict:
    """Compare two evaluations sample by sample.

    Args:
        first (Sequence[SampleRecord]): One evaluation.
        second (Sequence[SampleRecord]): Another one of the same samples.
        protocol (str | dict): What both were evaluated under.
        sort_by (str): 'viou', 'tiou' or 'siou'.

    Returns:
        dict: ``mean`` (per metric: first, second, change), ``interval`` (95 %
        of the change of the mean of ``sort_by``, paired bootstrap),
        ``better``, ``worse``, ``same`` (numbers of samples) and ``samples``,
        biggest change first.

    Raises:
        ValueError: If the samples differ, or the protocol lacks the score.
    """
    protocol = get_protocol(protocol)
    by_id = {r.sample_id: r for r in second}
    if [r.sample_id for r in first if r.sample_id not in by_id] or len(
            first) != len(second):
        raise ValueError('the two evaluations are not of the same samples')
    rows = [
        _row(r, by_id[r.sample_id], protocol.name, sort_by) for r in first
    ]
    rows.sort(key=lambda row: (-abs(row['change']), row['sample_id']))
    changes = np.array([row['change'] for row in rows])
    one, two = means(first, protocol), means(second, protocol)
    return dict(
        protocol=protocol.name,
        sort_by=sort_by,
        mean={
            k: dict(first=one[k], second=two[k], change=two[k] - one[k])
            for k in one
        },
        interval=list(bootstrap_interval(changes)),
        better=int((changes > SAME).sum()),
        worse=int((changes < -SAME).sum()),
        same=int((np.abs(changes) <= SAME).sum()),
        samples=rows)


def _row(first: SampleRecord, second: SampleRecord, protocol: str,
         sort_by: str) -> Dict[str, object]:
    one, two = first.scores[protocol], second.scores[protocol]
    before, after = getattr(one, sort_by), getattr(two, sort_by)
    if before is None or after is None:
        raise ValueError(f'protocol {protocol!r} has no {sort_by}')
    return dict(
        sample_id=first.sample_id,
        qtype=first.qtype,
        change=after - before,
        first=dict(one._asdict(), main_error=_main_error(first)),
        second=dict(two._asdict(), main_error=_main_error(second)))


def _main_error(record: SampleRecord) -> Optional[str]:
    return main_error(record.diagnostics) if record.diagnostics else None


def bootstrap_interval(changes: np.ndarray,
                       draws: int = 2000,
                       seed: int = 0) -> Tuple[float, float]:
    """Interval that holds 95 % of the resampled means.

    Args:
        changes (np.ndarray): Change per sample, (N, ).
        draws (int): Number of resamples.
        seed (int): Seed of the draws.

    Returns:
        tuple[float, float]: Lower and upper end.
    """
    rng = np.random.default_rng(seed)
    means_ = np.array([
        changes[rng.integers(0, len(changes), len(changes))].mean()
        for _ in range(draws)
    ])
    low, high = np.quantile(means_, (.025, .975))
    return float(low), float(high)


def comparison_table(comparison: dict, top: Optional[int] = None) -> str:
    """The samples of a comparison as text, biggest change first."""
    rows: List[Sequence[str]] = [
        ('sample', 'change', 'vIoU', '->', 'tIoU', '->', 'sIoU', '->',
         'lost to', '->')
    ]
    for row in comparison['samples'][:top]:
        cells = [row['sample_id'], f'{row["change"]:+.4f}']
        for name in ('viou', 'tiou', 'siou'):
            cells += [_number(row[k][name]) for k in ('first', 'second')]
        cells += [row[k]['main_error'] or '-' for k in ('first', 'second')]
        rows.append(cells)
    return text_table(rows)


def _number(value: Optional[float]) -> str:
    return '-' if value is None else f'{value:.4f}'
