# Copyright (c) costa_mm authors. All rights reserved.
"""From tubes to per-sample records, and from records to tables of means."""
from dataclasses import dataclass, field
from numbers import Real
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from costa_mm.structures import Tube
from .diagnostics import diagnose, mean_diagnostics
from .functional import summarize
from .protocols import (ProtocolLike, Protocols, Scores, get_protocol,
                        get_protocols)

#: A numeric factor with more values than this is cut at its quartiles.
MAX_FACTOR_VALUES = 8


@dataclass
class SampleRecord:
    """What is kept of one evaluated sample.

    Args:
        sample_id (str): Unique name of the sample.
        scores (dict[str, Scores]): Scores per protocol, in order.
        diagnostics (dict[str, float]): See ``diagnose``; may be empty.
        qtype (str, optional): Query type.
        factors (dict, optional): Name and value of what makes it hard.
        identity (tuple): What tells two samples of one id apart.
        video_id (str, optional): Video of the sample.
        pred (Tube, optional): Prediction, if it is to be written.
        gt (Tube, optional): Ground truth, if it is to be written.
        sentence (str, optional): What was asked.
        size (tuple[int, int], optional): Width and height of the video.
        score (float, optional): How sure the model is.
        seconds (tuple[float, float], optional): The predicted span, where
            more is known of it than the frame rate.
    """
    sample_id: str
    scores: Dict[str, Scores] = field(default_factory=dict)
    diagnostics: Dict[str, float] = field(default_factory=dict)
    qtype: Optional[str] = None
    factors: Optional[dict] = None
    identity: Tuple = ()
    video_id: Optional[str] = None
    pred: Optional[Tube] = None
    gt: Optional[Tube] = None
    sentence: Optional[str] = None
    size: Optional[Tuple[int, int]] = None
    score: Optional[float] = None
    seconds: Optional[Tuple[float, float]] = None


def evaluate_sample(sample_id: str,
                    pred: Tube,
                    gt: Tube,
                    protocols: Protocols = 'paper',
                    *,
                    missing_boxes: str = 'raise',
                    diagnostics: bool = True) -> SampleRecord:
    """Score one sample under some protocols.

    Args:
        sample_id (str): Name of the sample.
        pred (Tube): Prediction.
        gt (Tube): Ground truth.
        protocols (str | dict | Sequence): One or more protocols.
        missing_boxes (str): 'raise' or 'zero', see ``BaseProtocol.score``.
        diagnostics (bool): Whether to compute them.

    Returns:
        SampleRecord: Scores and diagnostics, without the tubes.

    Raises:
        ValueError: If a tube lacks what a protocol needs; the message names
            the sample.
    """
    try:
        scores = {
            p.name: p.score(pred, gt, missing_boxes)
            for p in get_protocols(protocols)
        }
        diagnosis = diagnose(pred, gt) if diagnostics else {}
    except ValueError as e:
        raise ValueError(f'sample {sample_id!r}: {e}') from e
    return SampleRecord(
        sample_id, scores, diagnosis, qtype=gt.qtype, factors=gt.factors)


def means(records: Sequence[SampleRecord],
          protocol: ProtocolLike) -> Dict[str, float]:
    """Means of a protocol over records, named as papers name them."""
    protocol = get_protocol(protocol)
    scores = [r.scores[protocol.name] for r in records]
    siou = [s.siou for s in scores if s.siou is not None]
    return summarize([s.tiou for s in scores], [s.viou for s in scores], siou,
                     protocol.thresholds)


def group_by(
    records: Sequence[SampleRecord], key: Callable[[SampleRecord],
                                                   Optional[str]]
) -> Dict[str, List[SampleRecord]]:
    """Records per value of a key, sorted; where it is None, in no group."""
    groups: Dict[str, List[SampleRecord]] = {}
    for record in records:
        name = key(record)
        if name is not None:
            groups.setdefault(name, []).append(record)
    return dict(sorted(groups.items()))


def means_by_qtype(records: Sequence[SampleRecord],
                   protocol: ProtocolLike) -> Dict[str, Dict[str, float]]:
    """Means per query type; records without one belong to none."""
    return {
        qtype: means(group, protocol)
        for qtype, group in group_by(records, lambda r: r.qtype).items()
    }


def group_by_factor(
    records: Sequence[SampleRecord]
) -> Dict[str, Dict[str, List[SampleRecord]]]:
    """Records per factor and value of it.

    Numbers with many values are cut at their quartiles over the records;
    anything but text, truth values and finite numbers is left out.
    """
    names = {name for r in records for name in (r.factors or {})}
    out = {}
    for name in sorted(names):
        groups = group_by(records, _factor_key(records, name))
        if groups:
            out[name] = groups
    return out


def _factor_key(records: Sequence[SampleRecord],
                name: str) -> Callable[[SampleRecord], Optional[str]]:
    """How to read the value of a factor, as text."""
    values = [(r.factors or {}).get(name) for r in records]
    numbers = [v for v in values if _is_number(v)]
    if len(set(numbers)) <= MAX_FACTOR_VALUES:
        return lambda r: _text((r.factors or {}).get(name))
    edges = np.quantile(numbers, (0, .25, .5, .75, 1))

    def quartile(record: SampleRecord) -> Optional[str]:
        value = (record.factors or {}).get(name)
        if not _is_number(value):
            return _text(value)
        i = min(int(np.searchsorted(edges[1:], value)), 3)
        return f'q{i + 1} ({edges[i]:.3g} to {edges[i + 1]:.3g})'

    return quartile


def _is_number(value: object) -> bool:
    """Whether a value is a number, and neither NaN nor infinite."""
    return (isinstance(value, Real) and -np.inf < value < np.inf
            and not isinstance(value, (bool, np.bool_)))


def _text(value: object) -> Optional[str]:
    if _is_number(value):
        return f'{value:.6g}'
    return str(value) if isinstance(value, (str, bool, np.bool_)) else None


def metric_lines(records: Sequence[SampleRecord],
                 protocol: Protocols) -> Dict[str, float]:
    """Every metric of an evaluation by name, diagnostics last.

    Metrics of the first protocol have plain names, those of further ones
    begin with the protocol's.
    """
    first, *others = get_protocols(protocol)
    out = _flat_metrics(records, first)
    for other in others:
        values = _flat_metrics(records, other)
        out.update({f'{other.name}/{k}': v for k, v in values.items()})
    return {**out, **diagnostic_means(records)}


def _flat_metrics(records: Sequence[SampleRecord],
                  protocol: ProtocolLike) -> Dict[str, float]:
    """Means over all records and, where there are any, per query type.

    Returns:
        dict[str, float]: ``m_vIoU`` and the like, and, if the samples are of
        more than one kind, ``declarative/m_vIoU`` and the like.
    """
    out = means(records, protocol)
    if len({r.qtype for r in records}) > 1:
        for qtype, values in means_by_qtype(records, protocol).items():
            out.update({f'{qtype}/{k}': v for k, v in values.items()})
    return out


def diagnostic_means(records: Sequence[SampleRecord]) -> Dict[str, float]:
    """Means of the diagnostics over all records; empty if there are none."""
    return mean_diagnostics([r.diagnostics for r in records if r.diagnostics])


def factor_table(records: Sequence[SampleRecord],
                 protocol: ProtocolLike) -> str:
    """Scores per factor as text, one row per value; empty if no factors."""
    rows = [('factor', 'value', 'samples', 'm_tIoU', 'm_vIoU', 'm_sIoU')]
    for factor, groups in group_by_factor(records).items():
        for value, group in groups.items():
            scores = means(group, protocol)
            rows.append((factor, value, str(len(group))) + tuple(
                f'{scores[k]:.4f}' if k in scores else '-'
                for k in rows[0][3:]))
    return text_table(rows) if len(rows) > 1 else ''


def text_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text with aligned columns; numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(w) if _looks_numeric(cell) else cell.ljust(w)
            for cell, w in zip(row, widths)
        ]
        lines.append('  '.join(cells).rstrip())
    return '\n'.join(lines)


def _looks_numeric(cell: str) -> bool:
    return cell.lstrip('+-').replace('.', '', 1).isdigit()
