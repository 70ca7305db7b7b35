# Copyright (c) costa_mm authors. All rights reserved.
"""The metric that a Runner builds."""
import logging
from typing import Any, Dict, List, Optional, Sequence

from mmengine.logging import print_log

from costa_mm.registry import METRICS
from costa_mm.structures import Tube, dump_tubes
from .formats import get_format
from .protocols import Protocols, get_protocols
from .report import (SampleRecord, evaluate_sample, factor_table,
                     group_by_factor, means, metric_lines)
from .sample_metric import SampleMetric, check_same, origin


@METRICS.register_module()
class STVGMetric(SampleMetric):
    """Metrics of spatio-temporal video grounding.

    Names in the result, after the prefix ``stvg/``:

    - ``m_tIoU``, ``m_vIoU``, ``vIoU@0.3``, ``vIoU@0.5``, ``m_sIoU``: the
      first protocol (``save_best='stvg/m_vIoU'``; ``official_hcstvg`` has no
      ``m_sIoU``);
    - ``declarative/m_vIoU`` and so on: per query type, where the samples are
      of more than one;
    - ``stcat_hcstvg/m_vIoU`` and so on: every further protocol;
    - ``err_time``, ``err_place``, ``err_object``, ``err_siou_place``,
      ``err_siou_object``, ``jump_rate``, ``gt_jump_rate``: diagnostics;
    - ``factor/NAME/VALUE/m_vIoU``: per factor, where the samples have
      factors; a table of all scores per factor is logged.

    Scores are computed where the sample was predicted; numbers (and tubes, if
    they are written) are merged by sample id, so that a sample that a sampler
    repeats counts once, and one that is skipped displaces no other.

    Args:
        protocol (str | dict | Sequence): One or more of ``paper``,
            ``stcat_hcstvg``, ``stcat_vidstg``, ``tubedetr_hcstvg``,
            ``tubedetr_vidstg``, ``official_hcstvg`` or another name of
            ``EVAL_PROTOCOLS``, or their configs, such as
            ``dict(type='paper', thresholds=(0.3, 0.5, 0.7))``.  Defaults to
            'paper'.
        tube_file (str, optional): Where to write the predictions.
        gt_file (str, optional): Where to write the ground truth as a tube
            file, for ``tools/analysis_tools/eval_tubes.py``.
        format (str): What ``tube_file`` is: 'tubes' (default),
            'hcstvg_challenge' or another name of ``RESULT_FORMATS``; some
            of them write a folder.
        format_only (bool): Write the predictions and compute nothing; ground
            truth may be absent.  Defaults to False.
        diagnostics (bool): Whether to compute the error split and the
            temporal consistency.  Defaults to True.
        per_factor (bool): Whether to report scores per factor.  Defaults to
            True; the many lines are a reason to switch it off for validation
            during training.
        missing_boxes (str): 'raise' (default) if a prediction lacks a box
            that the protocol needs, or 'zero' to count it as IoU 0.
        collect_device (str): 'cpu' (default) or 'gpu'.
        prefix (str, optional): Prefix of the names.  Defaults to 'stvg'.
        collect_dir (str, optional): Shared folder for collecting on the CPU.

    Raises:
        ValueError: If an option has no such value, or ``format_only`` has no
            ``tube_file``.
    """

    default_prefix: Optional[str] = 'stvg'

    def __init__(self,
                 *,
                 protocol: Protocols = 'paper',
                 tube_file: Optional[str] = None,
                 gt_file: Optional[str] = None,
                 format: str = 'tubes',
                 format_only: bool = False,
                 diagnostics: bool = True,
                 per_factor: bool = True,
                 missing_boxes: str = 'raise',
                 collect_device: str = 'cpu',
                 prefix: Optional[str] = None,
                 collect_dir: Optional[str] = None) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        self.protocols = get_protocols(protocol)
        if missing_boxes not in ('raise', 'zero'):
            raise ValueError("missing_boxes is 'raise' or 'zero', not "
                             f'{missing_boxes!r}')
        if format_only and tube_file is None:
            raise ValueError('format_only writes predictions and nothing '
                             'else: say where with tube_file')
        self.tube_file = tube_file
        self.gt_file = gt_file
        self.format = format
        self.format_only = format_only
        self.diagnostics = diagnostics
        self.per_factor = per_factor
        self.missing_boxes = missing_boxes
        self._file = get_format(format)

    @property
    def needs_truth(self) -> bool:
        """Whether samples without ground truth are an error."""
        return not self.format_only

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Score one batch.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict | TubeDataSample]): Samples with
                ``sample_id``, ``pred_tube`` and, unless ``format_only``,
                ``gt_tube``.

        Raises:
            ValueError: If a sample lacks one of them, or the format cannot
                hold it; the message names it.
        """
        records = [self._record(s) for s in data_samples]
        if self.tube_file:
            for record in records:
                self._file.check(record)  # not after hours of prediction
        self.results.extend(records)

    def _record(self, sample: Any) -> SampleRecord:
        sample_id = sample.get('sample_id')
        if sample_id is None:
            raise ValueError('a data sample has no sample_id; the packing '
                             'transform puts it into the meta information')
        sample_id = str(sample_id)
        pred = _tube(sample, 'pred_tube', sample_id)
        if self.format_only:
            record = SampleRecord(sample_id)
        else:
            gt = _tube(sample, 'gt_tube', sample_id)
            record = evaluate_sample(
                sample_id,
                pred,
                gt,
                self.protocols,
                missing_boxes=self.missing_boxes,
                diagnostics=self.diagnostics)
            record.qtype = gt.qtype or sample.get('qtype')
            record.factors = gt.factors or sample.get('factors')
            record.gt = gt if self.gt_file else None
            record.identity = (gt.span, record.qtype)
        record.video_id = sample.get('video_id')
        record.identity += origin(sample)
        if self.tube_file:
            _describe(record, pred, sample)
        return record

    def merge(self, parts: Sequence[List[SampleRecord]],
              size: int) -> List[SampleRecord]:
        """See :class:`SampleMetric`; tells how many samples are missing."""
        records = merge_records(parts)
        if len(records) < size:
            print_log(
                f'STVGMetric: {size - len(records)} of {size} samples were '
                'not evaluated (the dataset skipped them); the means are '
                f'over {len(records)}',
                logger='current',
                level=logging.WARNING)
        return records

    def evaluate(self, size: int) -> Dict[str, float]:
        """See :class:`SampleMetric`; the next run writes a file of its own.
        """
        metrics = super().evaluate(size)
        self._file = get_format(self.format)
        return metrics

    def compute_metrics(self, results: List[SampleRecord]) -> dict:
        """Write the files and compute the metrics.

        Args:
            results (list[SampleRecord]): Every sample once.

        Returns:
            dict[str, float]: Names without the prefix; empty if
            ``format_only``.

        Raises:
            ValueError: If there is no sample at all.
        """
        if self.tube_file:
            self._file.write(results, self.tube_file)
            print_log(
                f'STVGMetric: wrote {len(results)} predictions to '
                f'{self.tube_file} ({self.format})',
                logger='current')
        if self.format_only:
            return {}
        if not results:
            raise ValueError('no sample was evaluated')
        if self.gt_file:
            dump_tubes({r.sample_id: r.gt for r in results}, self.gt_file)
        return self._metrics(results)

    def _metrics(self, records: List[SampleRecord]) -> Dict[str, float]:
        out = metric_lines(records, self.protocols)
        factors = group_by_factor(records) if self.per_factor else {}
        for factor, groups in factors.items():
            for value, group in groups.items():
                out[f'factor/{factor}/{value}/m_vIoU'] = means(
                    group, self.protocols[0])['m_vIoU']
        self._log(records)
        return out

    def _log(self, records: List[SampleRecord]) -> None:
        for i, protocol in enumerate(self.protocols):
            where = '' if i == 0 else f' under {protocol.name}/'
            print_log(
                f'STVGMetric: protocol {protocol.name!r} '
                f'({protocol.note}){where}, {len(records)} samples',
                logger='current')
        table = factor_table(records, self.protocols[0])
        if table and self.per_factor:
            print_log(f'scores per factor:\n{table}', logger='current')


def merge_records(parts: Sequence[Sequence[SampleRecord]]
                  ) -> List[SampleRecord]:
    """Every sample once, in the order of the dataset unless some are skipped.

    Args:
        parts (Sequence[Sequence[SampleRecord]]): Records per process; process
            r of n has samples r, r + n, r + 2n and so on.

    Raises:
        ValueError: If two different samples share one id.
    """
    merged: Dict[str, SampleRecord] = {}
    for i in range(max(map(len, parts), default=0)):
        for part in parts:
            if i >= len(part):
                continue
            record = merged.setdefault(part[i].sample_id, part[i])
            check_same(record.sample_id, record.identity, part[i].identity)
    return list(merged.values())


def _describe(record: SampleRecord, pred: Tube, sample: Any) -> None:
    """Add what the forms of a prediction file may want to know."""
    record.pred = pred
    record.qtype = record.qtype or sample.get('qtype')
    record.sentence = sample.get('sentence')
    shape, score = sample.get('ori_shape'), sample.get('pred_score')
    record.size = None if shape is None else (int(shape[1]), int(shape[0]))
    record.score = None if score is None else float(score)


def _tube(sample: Any, key: str, sample_id: str) -> Tube:
    tube = sample.get(key)
    if tube is None and key == 'gt_tube':
        raise ValueError(
            f'sample {sample_id!r} has no ground truth (gt_tube), so nothing '
            'can be computed; write predictions only with format_only=True '
            '(tools/test.py --format-only)')
    if not isinstance(tube, Tube):
        raise ValueError(f'sample {sample_id!r}: {key} is a '
                         f'{type(tube).__name__}, not a Tube')
    return tube
