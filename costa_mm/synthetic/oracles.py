# Copyright (c) costa_mm authors. All rights reserved.
"""Ceilings of predictors that lack a part of the task.

Each oracle is perfect in what it may know and guesses the rest.  Where it
has to guess among several answers, its score is the expectation over them
and not one random draw.
"""
import json
import os
from pathlib import Path
from types import MappingProxyType
from typing import Dict, List, Mapping, Sequence, Union

import numpy as np

from costa_mm.evaluation import PROTOCOLS, box_iou, fit_trivial, summarize
from costa_mm.structures import Tube
from .generator import Sample, Settings, draw_sample
from .scene import (Match, Query, Span, acting_frames, action_spans,
                    find_lookalikes, find_matches)

#: Each oracle and what it knows, in the order of the printed table.
ORACLES: Mapping[str, str] = MappingProxyType({
    'complete':
    'everything (below 1 only as annotated boxes are rounded)',
    'momentary':
    'everything, but of two that look alike it knows only in frames in which '
    'the target acts which one is meant; else either',
    'appearance_only':
    'named look and all tracks; random object of that look, best constant '
    'span',
    'event_only':
    'who does what and when, no looks; random performer, its true span',
    'no_language':
    'all tracks and actions, not the sentence; random object and action',
    'shuffled_sentences':
    "everything, but the sentence is another video's",
    'static_box':
    'whole video and the best static box for each video',
    'blind_whole_video':
    'whole video and the one best box of the training split',
    'blind_mean':
    'mean span and mean box of the training split',
})

_NUM_SHUFFLES = 5


def entry_tube(entry: dict) -> Tube:
    """True tube of an annotation in the HC-STVG v1 schema."""
    start = entry['st_frame'] - 1
    boxes = np.array(entry['bbox'], dtype=float)
    boxes[:, 2:] += boxes[:, :2]
    span = (start, start + len(boxes))
    return Tube(span, np.arange(*span), boxes, num_frames=entry['img_num'])


def best_constant_span(tubes: Sequence[Tube], num_frames: int) -> Span:
    """The span of the highest mean tIoU with all true spans."""
    true = np.array([t.span for t in tubes])[:, :, None, None]
    start, end = np.meshgrid(
        np.arange(num_frames), np.arange(1, num_frames + 1), indexing='ij')
    score = np.zeros(start.shape)
    for first, last in true:
        inter = (np.minimum(end, last) - np.maximum(start, first)).clip(0)
        union = (end - start) + (last - first) - inter
        score += inter / np.maximum(union, 1)
    score[end <= start] = -1
    k = np.unravel_index(score.argmax(), score.shape)
    return int(start[k]), int(end[k])


def best_static_box(boxes: np.ndarray) -> np.ndarray:
    """A box of high mean IoU with all of (N, 4): the best of many, (4, ).

    Candidates are the boxes themselves and all between their union and
    their coordinate-wise median.
    """
    levels = np.linspace(0, 0.5, 11)
    low = np.quantile(boxes[:, :2], levels, axis=0)
    high = np.quantile(boxes[:, 2:], 1 - levels, axis=0)
    candidates = np.concatenate([boxes, np.concatenate([low, high], 1)])
    scores = box_iou(candidates[:, None], boxes[None]).mean(1)
    return candidates[scores.argmax()]


def _mean_dict(rows: Sequence[Mapping[str, float]]) -> Dict[str, float]:
    return {k: float(np.mean([row[k] for row in rows])) for k in rows[0]}


class OracleRunner:
    """Scores every oracle on the samples of one split.

    Args:
        samples (Sequence[Sample]): Samples to answer.
        truth (Sequence[Tube]): Their annotated tubes.
        train (Sequence[Tube]): Tubes from which constants are taken.
    """

    def __init__(self, samples: Sequence[Sample], truth: Sequence[Tube],
                 train: Sequence[Tube]) -> None:
        self.samples, self.truth = samples, truth
        settings = samples[0].settings
        self.num_frames, self.size = settings.num_frames, settings.size
        self.frames = np.arange(self.num_frames)
        self.span = best_constant_span(train, self.num_frames)
        self.prior = fit_trivial({str(i): t for i, t in enumerate(train)})
        rng = np.random.default_rng(settings.seed)
        # cyclic shifts of a shuffled order leave no sentence at its place
        self.order = rng.permutation(len(samples))

    def run(self) -> Dict[str, Dict[str, float]]:
        """Scores by oracle: m_tIoU, m_vIoU, vIoU@0.3, vIoU@0.5, m_sIoU."""
        return {
            name: self._summarize([
                getattr(self, f'_{name}')(i) for i in range(len(self.samples))
            ])
            for name in ORACLES
        }

    def _summarize(self, guesses: List[List[Tube]]) -> Dict[str, float]:
        """Means over samples; of each sample the mean over its guesses.

        Recalls are taken guess by guess: a mean vIoU of 0.5 over a right and
        a wrong answer is half a hit.
        """
        per_sample = []
        for answers, truth in zip(guesses, self.truth):
            scores = [PROTOCOLS['paper'].score(g, truth) for g in answers]
            per_sample.append(
                _mean_dict([summarize(*([x] for x in s)) for s in scores]))
        return _mean_dict(per_sample)

    def _guess(self, i: int, index: int, span: Span) -> Tube:
        track = self.samples[i].tracks[index]
        return Tube(span, self.frames, track.clip(0, self.size))

    def _held(self, box: np.ndarray, span: Span) -> List[Tube]:
        boxes = np.tile(box, (self.num_frames, 1))
        return [Tube(span, self.frames, boxes)]

    def _complete(self, i: int) -> List[Tube]:
        sample = self.samples[i]
        return [self._guess(i, sample.target, sample.span)]

    def _momentary(self, i: int) -> List[Tube]:
        sample = self.samples[i]
        acts = acting_frames(sample.objects[sample.target], self.num_frames)
        own, lookalikes = sample.tracks[sample.target], find_lookalikes(
            sample.objects, sample.query)
        return [
            Tube(
                sample.span, self.frames,
                np.where(acts[:, None], own,
                         sample.tracks[k]).clip(0, self.size))
            for k in lookalikes
        ]

    def _appearance_only(self, i: int) -> List[Tube]:
        sample = self.samples[i]
        return [
            self._guess(i, k, self.span)
            for k in find_lookalikes(sample.objects, sample.query)
        ]

    def _event_only(self, i: int) -> List[Tube]:
        sample = self.samples[i]
        found = find_matches(sample.objects, sample.query, use_looks=False)
        return [self._guess(i, *match) for match in found]

    def _no_language(self, i: int) -> List[Tube]:
        return [self._guess(i, *match) for match in self._all_actions(i)]

    def _all_actions(self, i: int) -> List[Match]:
        return [
            Match(k, span)
            for k, obj in enumerate(self.samples[i].objects)
            for span in action_spans(obj.script)
        ]

    def _shuffled_sentences(self, i: int) -> List[Tube]:
        place = int(np.flatnonzero(self.order == i)[0])
        guesses = []
        for shift in range(1, _NUM_SHUFFLES + 1):
            j = self.order[(place + shift) % len(self.order)]
            found = self._closest(i, self.samples[j].query)
            # as many copies of each shift, whatever its number of answers
            guesses.append([self._guess(i, *match) for match in found])
        common = int(np.lcm.reduce([len(g) for g in guesses]))
        return [g for gs in guesses for g in gs * (common // len(gs))]

    def _closest(self, i: int, query: Query) -> List[Match]:
        """Answers to a sentence that may fit nothing in this video.

        In this order: what satisfies it; whoever performs the event; what
        an object of that look does; anything.
        """
        objects = self.samples[i].objects
        event = query._replace(look=None, relation=None)
        found = find_matches(objects, query) or find_matches(objects, event)
        if not found and query.look is not None:
            found = [
                m for m in self._all_actions(i)
                if query.look.fits(objects[m.index].look)
            ]
        return found or self._all_actions(i)

    def _static_box(self, i: int) -> List[Tube]:
        return self._held(
            best_static_box(self.truth[i].boxes), (0, self.num_frames))

    def _blind_whole_video(self, i: int) -> List[Tube]:
        return self._held(self.prior.best_box, (0, self.num_frames))

    def _blind_mean(self, i: int) -> List[Tube]:
        start, end = (round(x * self.num_frames) for x in self.prior.span)
        return self._held(self.prior.mean_box, (start, max(end, start + 1)))


def run_oracles(settings: Settings,
                entries: Mapping[str, Mapping[str, dict]]) -> dict:
    """Score all oracles on the test split (or the last one that there is).

    Args:
        settings (Settings): What the benchmark was drawn with.
        entries (Mapping): Annotations of each split that has any.

    Returns:
        dict: ``split``, ``constants_from`` (the split that gave the
        constant spans and boxes), ``num_samples`` and ``oracles``.
    """
    split, source = list(entries)[-1], next(iter(entries))
    samples = [
        draw_sample(settings, split, i) for i in range(len(entries[split]))
    ]
    runner = OracleRunner(samples,
                          [entry_tube(e) for e in entries[split].values()],
                          [entry_tube(e) for e in entries[source].values()])
    return dict(
        split=split,
        constants_from=source,
        num_samples=len(samples),
        oracles=runner.run())


def load_report(folder: Union[str, os.PathLike]) -> dict:
    """Read ``oracles.json`` of a benchmark's folder."""
    path = Path(folder) / 'oracles.json'
    return json.loads(path.read_text(encoding='utf-8'))


def format_report(report: dict) -> str:
    """A table of the ceilings for people."""
    names = list(next(iter(report['oracles'].values())))
    lines = [
        f'ceilings on {report["num_samples"]} {report["split"]} samples',
        f'{"oracle":20s}' + ''.join(f'{n:>10s}' for n in names)
    ]
    for oracle, scores in report['oracles'].items():
        lines.append(f'{oracle:20s}' +
                     ''.join(f'{scores[n]:10.4f}' for n in names))
    return '\n'.join(lines)
