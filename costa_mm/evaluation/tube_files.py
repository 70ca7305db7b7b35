# Copyright (c) costa_mm authors. All rights reserved.
"""Evaluation of tubes by sample id, without a dataset or a model."""
from dataclasses import replace
from typing import Any, Dict, List, Sequence

from costa_mm.structures import Tube
from .diagnostics import diagnose_nothing
from .protocols import BaseProtocol, Protocols, Scores, get_protocols
from .report import (SampleRecord, diagnostic_means, evaluate_sample,
                     group_by_factor, means, means_by_qtype)


def true_tubes(dataset: Any) -> Dict[str, Tube]:
    """The ground truth of a dataset by sample id, with its factors.

    Args:
        dataset (:obj:`BaseSTVGDataset`): Only annotations are read.
    """
    infos = map(dataset.get_data_info, range(len(dataset)))
    return {
        i['sample_id']: replace(i['gt_tube'], factors=i['factors'])
        for i in infos
    }


def evaluate_tubes(preds: Dict[str, Tube],
                   gts: Dict[str, Tube],
                   protocol: Protocols = 'paper',
                   *,
                   missing: str = 'error',
                   extra: str = 'error',
                   missing_boxes: str = 'raise',
                   diagnostics: bool = True) -> List[SampleRecord]:
    """Score predictions against a ground truth.

    Args:
        preds (dict[str, Tube]): Predictions by sample id.
        gts (dict[str, Tube]): Ground truth by sample id.
        protocol (str | dict | Sequence): One or more protocols.
        missing (str): What to do with samples that have no prediction:
            'error', 'zero' (they score 0, as in the HC-STVG challenge) or
            'skip' (means are over predicted samples, as STCAT's are).
        extra (str): What to do with predictions that have no ground truth:
            'error' or 'ignore'.
        missing_boxes (str): 'raise' or 'zero', see ``BaseProtocol.score``.
        diagnostics (bool): Whether to compute them.

    Returns:
        list[SampleRecord]: In the order of the ground truth.

    Raises:
        ValueError: If samples are missing or superfluous, or a tube lacks
            what the protocol needs.
    """
    if not gts:
        raise ValueError('the ground truth holds no sample')
    absent = [i for i in gts if i not in preds]
    surplus = [i for i in preds if i not in gts]
    if absent and missing == 'error' or len(absent) == len(gts):
        raise ValueError(_missing_message(absent, surplus, len(gts)))
    if surplus and extra == 'error':
        raise ValueError(
            f'{len(surplus)} predictions have no ground truth: '
            f'{_first(surplus)}. If the ground truth is a part of the data '
            'on purpose, pass --extra ignore.')
    protocols, records = get_protocols(protocol), []
    for sample_id, gt in gts.items():
        if sample_id in preds:
            records.append(
                evaluate_sample(
                    sample_id,
                    preds[sample_id],
                    gt,
                    protocols,
                    missing_boxes=missing_boxes,
                    diagnostics=diagnostics))
        elif missing == 'zero':
            records.append(_zero(sample_id, gt, protocols, diagnostics))
    return records


def _zero(sample_id: str, gt: Tube, protocols: Sequence[BaseProtocol],
          diagnostics: bool) -> SampleRecord:
    scores = {
        p.name: Scores(0., 0., 0. if p.has_siou else None)
        for p in protocols
    }
    return SampleRecord(
        sample_id, scores, diagnose_nothing(gt) if diagnostics else {},
        qtype=gt.qtype, factors=gt.factors)


def _missing_message(absent: List[str], surplus: List[str],
                     total: int) -> str:
    message = (f'{len(absent)} of {total} samples have no prediction: '
               f'{_first(absent)}.')
    if surplus:
        message += (f' {len(surplus)} predictions have no ground truth: '
                    f'{_first(surplus)}; are both files of one split?')
    return message + (' Pass --missing zero to score them 0 (as the HC-STVG '
                      'challenge does) or --missing skip to leave them out '
                      '(as STCAT does).')


def _first(ids: List[str], count: int = 3) -> str:
    shown = ', '.join(repr(i) for i in ids[:count])
    return shown + (', ...' if len(ids) > count else '')


def evaluation_report(records: List[SampleRecord],
                      protocol: Protocols) -> dict:
    """An evaluation as a JSON object, in full precision.

    Returns:
        dict: ``protocol``, ``num_samples``, ``mean``, ``by_qtype``,
        ``per_sample`` (``tiou``, ``viou``, ``siou``; null where the protocol
        has none), ``by_factor`` and ``diagnostics``; where there are more
        protocols than one, ``further_protocols`` by name.
    """
    first, *others = get_protocols(protocol)
    out = dict(
        protocol=first.name,
        num_samples=len(records),
        **_protocol_report(records, first),
        diagnostics=diagnostic_means(records))
    if others:
        out['further_protocols'] = {
            p.name: _protocol_report(records, p)
            for p in others
        }
    return out


def _protocol_report(records: List[SampleRecord],
                     protocol: BaseProtocol) -> dict:
    """Scores under one protocol."""
    return dict(
        mean=means(records, protocol),
        by_qtype=means_by_qtype(records, protocol),
        per_sample={
            r.sample_id: r.scores[protocol.name]._asdict()
            for r in records
        },
        by_factor={
            factor: {
                value: means(group, protocol)
                for value, group in groups.items()
            }
            for factor, groups in group_by_factor(records).items()
        })
