# Copyright (c) costa_mm authors. All rights reserved.
"""From finished runs to means, deviations and intervals."""
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence

import numpy as np
from scipy.stats import ttest_ind

from costa_mm.evaluation import (SampleRecord, bootstrap_interval,
                                 evaluate_tubes, metric_lines)
from costa_mm.evaluation.report import group_by_factor, means
from costa_mm.structures import Tube, load_tubes
from .protocol import BenchmarkProtocol, Scale
from .runs import Run

METRICS = ('m_tIoU', 'm_vIoU', 'vIoU@0.3', 'vIoU@0.5', 'm_sIoU')
DIAGNOSTICS = ('err_time', 'err_place', 'err_object', 'jump_rate')
CURVES = ('m_sIoU', 'm_vIoU', 'm_tIoU')

#: Value of a metric for one sample, as a mean over samples would use it.
PER_SAMPLE: Dict[str, Callable[[SampleRecord, str], float]] = {
    'm_tIoU': lambda r, p: r.scores[p].tiou,
    'm_vIoU': lambda r, p: r.scores[p].viou,
    'vIoU@0.5': lambda r, p: float(r.scores[p].viou > 0.5),
    'm_sIoU': lambda r, p: r.scores[p].siou,
    'jump_rate': lambda r, p: r.diagnostics['jump_rate'],
}


@dataclass
class SeedResult:
    """A finished run.

    Args:
        seed (int): Its seed.
        records (list[SampleRecord]): Test samples, in order.
        metrics (dict): Means and diagnostics.
        shuffled (dict): Metrics with the sentences exchanged.
        curve (dict): Metrics on the validation split by iteration.
        done (dict): The run's record.
    """
    seed: int
    records: List[SampleRecord]
    metrics: Dict[str, float]
    shuffled: Dict[str, float]
    curve: Dict[int, Dict[str, float]]
    done: dict


def collect_results(protocol: BenchmarkProtocol, scale: Scale,
                    runs: Sequence[Run], truth: Mapping[str, Tube]
                    ) -> Dict[str, List[SeedResult]]:
    """Evaluate the predictions of all finished runs.

    Args:
        protocol (BenchmarkProtocol): What is fixed.
        scale (Scale): At which size.
        runs (Sequence[Run]): Finished or not.
        truth (Mapping[str, Tube]): Ground truth of the test split, with
            factors.

    Returns:
        dict[str, list[SeedResult]]: Per method; those without a finished run
        have no entry.
    """
    found: Dict[str, List[SeedResult]] = {}
    for run in runs:
        if run.state(scale.digests.get(run.method)) == 'done':
            found.setdefault(run.method,
                             []).append(read_run(protocol, run, truth))
    return found


def read_run(protocol: BenchmarkProtocol, run: Run,
             truth: Mapping[str, Tube]) -> SeedResult:
    """Evaluate one finished run."""
    name = protocol.evaluation['protocol']
    records = evaluate_tubes(load_tubes(run.predictions), dict(truth), name)
    shuffled = json.loads(
        (run.folder / 'metrics_shuffled.json').read_text(encoding='utf-8'))
    return SeedResult(
        seed=run.seed,
        records=records,
        metrics=metric_lines(records, name),
        shuffled={k.split('/', 1)[1]: v
                  for k, v in shuffled.items()},
        curve=read_curve(run.folder / 'train'),
        done=run.done())


def read_curve(work_dir: Path) -> Dict[int, Dict[str, float]]:
    """Validation metrics by iteration, of all pieces of a training.

    A last line of which a killed run has written a part is passed over.
    """
    curve = {}
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        text = path.read_bytes().decode(errors='replace')
        lines = text.splitlines()
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
            except ValueError as e:
                if number == len(lines):
                    break
                raise ValueError(f'{path}, line {number}: {e}') from e
            if 'stvg/m_vIoU' in entry:
                curve[int(entry['step'])] = {
                    k: entry[f'stvg/{k}']
                    for k in CURVES if f'stvg/{k}' in entry
                }
    return dict(sorted(curve.items()))


def mean_and_deviation(values: Sequence[float]) -> dict:
    """Mean, standard deviation (None below two values) and their number."""
    array = np.asarray(values, dtype=np.float64)
    deviation = float(array.std(ddof=1)) if len(array) > 1 else None
    return dict(
        mean=float(array.mean()), deviation=deviation, runs=len(array))


def summarize_results(protocol: BenchmarkProtocol, scale: Scale,
                      results: Mapping[str, Sequence[SeedResult]],
                      runs: Sequence[Run], oracles: dict) -> dict:
    """Everything that the tables and plots show, as plain data.

    Args:
        protocol (BenchmarkProtocol): What is fixed.
        scale (Scale): At which size.
        results (Mapping): Of :func:`collect_results`.
        runs (Sequence[Run]): All runs that the tables should have.
        oracles (dict): ``oracles.json`` of the data.

    Returns:
        dict: ``methods`` (per method ``scores``, ``shuffled``, ``change``
        against the reference with intervals, ``seed_change`` with intervals
        over seeds, ``factors``, ``curve``, ``seeds``, ``minutes``,
        ``parameters``), ``oracles``, ``missing`` (runs that are not there,
        and why), ``under_way`` and the protocol's settings.
    """
    reference = results.get(protocol.reference)
    methods = {}
    for name, seeds in results.items():
        methods[name] = dict(
            title=protocol.title(name),
            seeds=[r.seed for r in seeds],
            minutes=mean_and_deviation(
                [r.done['seconds']['train'] / 60 for r in seeds]),
            parameters=scale.parameters.get(name),
            scores={
                m: mean_and_deviation([r.metrics[m] for r in seeds])
                for m in METRICS + DIAGNOSTICS
                if all(m in r.metrics for r in seeds)
            },
            shuffled={
                m: mean_and_deviation([r.shuffled[m] for r in seeds])
                for m in METRICS
            },
            factors=factor_scores(protocol, seeds),
            curve=mean_curve(seeds))
        compared = reference is not None and name != protocol.reference
        methods[name].update(
            change=changes(protocol, reference, seeds) if compared else None,
            seed_change=seed_changes(reference, seeds) if compared else None)
    return dict(
        version=protocol.version,
        scale=scale.name,
        data=scale.data,
        evaluation=protocol.evaluation,
        reference=protocol.reference,
        environments=environments(results),
        methods=methods,
        oracles=oracles,
        missing=missing_runs(scale, runs),
        under_way=under_way(protocol, scale, runs))


def missing_runs(scale: Scale, runs: Sequence[Run]) -> List[dict]:
    """Runs that no table shows, and their state."""
    out = []
    for run in runs:
        state = run.state(scale.digests.get(run.method))
        if state != 'done':
            out.append(dict(method=run.method, seed=run.seed, state=state))
    return out


def under_way(protocol: BenchmarkProtocol, scale: Scale,
              runs: Sequence[Run]) -> Optional[dict]:
    """Validation figures of all runs at the place that each has reached.

    Args:
        protocol (BenchmarkProtocol): What is fixed.
        scale (Scale): At which size.
        runs (Sequence[Run]): Finished or not.

    Returns:
        dict, optional: ``step``, the last iteration after which all runs that
        have validated at all have done so, and ``methods`` (per method
        ``scores`` and ``seed_change``); None if all runs are finished, or
        none has come that far.
    """
    states = [(run, run.state(scale.digests.get(run.method))) for run in runs]
    if all(state == 'done' for _, state in states):
        return None
    curves: Dict[str, List[dict]] = {}
    for run, state in states:
        curve = read_curve(run.folder / 'train') if state != 'stale' else None
        if curve:
            curves.setdefault(run.method, []).append(curve)
    known = [set(curve) for own in curves.values() for curve in own]
    steps = set.intersection(*known) if known else ()
    if not steps:
        return None
    step = max(steps)
    values = {
        name: {m: [c[step][m] for c in own if m in c[step]] for m in CURVES}
        for name, own in curves.items()
    }
    reference = values.get(protocol.reference)
    return dict(
        step=step,
        methods={
            name: dict(
                scores={m: mean_and_deviation(v) for m, v in own.items() if v},
                seed_change={
                    m: welch_change(reference[m], v)
                    for m, v in own.items()
                } if reference and name != protocol.reference else None)
            for name, own in values.items()
        })


def environments(results: Mapping[str, Sequence[SeedResult]]) -> List[dict]:
    """The different environments that the runs were run in."""
    out = []
    for seeds in results.values():
        for result in seeds:
            if result.done['environment'] not in out:
                out.append(result.done['environment'])
    return out


def per_sample(protocol: BenchmarkProtocol, seeds: Sequence[SeedResult],
               metric: str) -> Dict[str, float]:
    """Mean over seeds of a metric, by sample; NaN where a seed has none."""
    name = protocol.evaluation['protocol']
    values: Dict[str, List[float]] = {}
    for result in seeds:
        for record in result.records:
            values.setdefault(record.sample_id, []).append(
                PER_SAMPLE[metric](record, name))
    return {k: float(np.mean(v)) for k, v in values.items()}


def changes(protocol: BenchmarkProtocol, reference: Sequence[SeedResult],
            seeds: Sequence[SeedResult]) -> Dict[str, Optional[dict]]:
    """Change from the reference to a method, over their common seeds.

    Per metric ``change``, ``low`` and ``high`` (95 % of paired bootstrap
    resamples of the test samples) and ``seeds``; None without a common seed.
    Samples for which one of the two has no such number are left out.
    """
    common = sorted({r.seed for r in reference} & {r.seed for r in seeds})
    if not common:
        return {metric: None for metric in PER_SAMPLE}
    out: Dict[str, Optional[dict]] = {}
    for metric in PER_SAMPLE:
        one, two = (per_sample(protocol,
                               [r for r in group if r.seed in common], metric)
                    for group in (reference, seeds))
        difference = np.array([two[k] - one[k] for k in one])
        difference = difference[~np.isnan(difference)]
        if not len(difference):
            out[metric] = None
            continue
        low, high = bootstrap_interval(
            difference,
            draws=protocol.evaluation['bootstrap_draws'],
            seed=protocol.evaluation['bootstrap_seed'])
        out[metric] = dict(
            change=float(difference.mean()),
            low=low,
            high=high,
            seeds=common)
    return out


def seed_changes(reference: Sequence[SeedResult],
                 seeds: Sequence[SeedResult]) -> Dict[str, Optional[dict]]:
    """Change from the reference to a method that other seeds would confirm.

    Per metric ``change`` (of the means over all seeds), and ``low`` and
    ``high``, the 95 % confidence interval of Welch's t with a run as one
    observation; None where either has fewer than two seeds or a run lacks
    the metric.
    """
    out: Dict[str, Optional[dict]] = {}
    for metric in PER_SAMPLE:
        one, two = ([r.metrics.get(metric) for r in group]
                    for group in (reference, seeds))
        out[metric] = welch_change(one, two)
    return out


def welch_change(one: Sequence[Optional[float]],
                 two: Sequence[Optional[float]]) -> Optional[dict]:
    """``change`` of the means from one to two, and its 95 % interval.

    The interval, ``low`` and ``high``, is of Welch's t with a value as one
    observation; None with fewer than two values on a side or one missing.
    """
    if min(len(one), len(two)) < 2 or None in [*one, *two]:
        return None
    interval = ttest_ind(two, one, equal_var=False).confidence_interval(.95)
    return dict(
        change=float(np.mean(two) - np.mean(one)),
        low=float(interval.low),
        high=float(interval.high))


def factor_scores(protocol: BenchmarkProtocol,
                  seeds: Sequence[SeedResult]) -> dict:
    """Per factor and value: number of samples and mean scores over seeds."""
    name = protocol.evaluation['protocol']
    groups = [group_by_factor(r.records) for r in seeds]
    out: Dict[str, dict] = {}
    for factor in protocol.evaluation['factors']:
        for value, records in groups[0].get(factor, {}).items():
            scores = [means(g[factor][value], name) for g in groups]
            out.setdefault(factor, {})[value] = dict(
                samples=len(records),
                **{
                    m: mean_and_deviation([s[m] for s in scores])
                    for m in METRICS
                })
    return out


def mean_curve(seeds: Sequence[SeedResult]) -> Dict[int, dict]:
    """Validation metrics by iteration, over the seeds that have it."""
    steps = sorted({s for r in seeds for s in r.curve})
    return {
        step: {
            m: mean_and_deviation(
                [r.curve[step][m] for r in seeds if step in r.curve])
            for m in CURVES
        }
        for step in steps
    }
