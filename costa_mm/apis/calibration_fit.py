# Copyright (c) costa_mm authors. All rights reserved.
"""Fits a calibration on a split whose sentences have been exchanged too."""
import random
from dataclasses import replace
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from scipy.optimize import minimize
from scipy.stats import rankdata
from torch import nn
from tqdm import tqdm

from costa_mm.datasets import BaseSTVGDataset
from .calibration import (ATTENDANCE_FEATURES, SPAN_FEATURES, Calibration,
                          score_features)


class ScoredPairs(NamedTuple):
    """Predictions for pairs of a video and a sentence.

    Attributes:
        features (list[dict[str, float]]): Of every pair, N of them.
        labels (np.ndarray): True where the sentence is the video's own,
            (N, ), bool.
        groups (np.ndarray): Number of the pair's video, (N, ), int64.
    """
    features: List[Dict[str, float]]
    labels: np.ndarray
    groups: np.ndarray


def negative_sentences(sentences: Sequence[str],
                      videos: Sequence[str],
                      num: int = 1,
                      seed: int = 0) -> List[List[str]]:
    """For every entry some sentences of other videos.

    Args:
        sentences (Sequence[str]): One per entry.
        videos (Sequence[str]): The video of every entry.
        num (int): Sentences wanted per entry.
        seed (int): Seed of the choice.

    Returns:
        list[list[str]]: Different sentences, none of which belongs to the
        entry's video.

    Raises:
        ValueError: If a video has too few sentences of others.
    """
    own: Dict[str, set] = {}
    for sentence, video in zip(sentences, videos):
        own.setdefault(video, set()).add(sentence)
    pool = sorted(set(sentences))
    rng = random.Random(seed)
    out = []
    for video in videos:
        others = [s for s in pool if s not in own[video]]
        if len(others) < num:
            raise ValueError(
                f'{video}: {len(others)} sentences of other videos, {num} '
                'wanted: the split is too small')
        out.append(rng.sample(others, num))
    return out


@torch.no_grad()
def score_pairs(model: nn.Module,
                dataset: BaseSTVGDataset,
                *,
                num_negative: int = 1,
                seed: int = 0,
                show_progress: bool = True) -> ScoredPairs:
    """Ask every video for its own sentence and for sentences of others.

    A video is decoded and encoded once for all that it is asked.

    Args:
        model (nn.Module): A :class:`SpatioTemporalGrounder` in eval mode.
        dataset (:obj:`BaseSTVGDataset`): With the test pipeline.
        num_negative (int): Negative sentences per entry.
        seed (int): Seed of their choice.
        show_progress (bool): Whether to show a progress bar.
    """
    records = [dataset.get_data_info(i) for i in range(len(dataset))]
    videos = [record['video_id'] for record in records]
    own = [record['sentence'] for record in records]
    negative = negative_sentences(own, videos, num_negative, seed)
    number = {video: i for i, video in enumerate(dict.fromkeys(videos))}
    features, labels, groups = [], [], []
    for i in tqdm(range(len(dataset)), 'scoring', disable=not show_progress):
        item = dataset[i]
        samples = []
        for sentence in (own[i], *negative[i]):
            sample = item['data_samples'].clone()
            sample.set_metainfo(dict(sentence=sentence))
            samples.append(sample)
        data = model.data_preprocessor(pseudo_collate([item]), False)
        visual = model.encode_video(data['inputs'])
        features += map(score_features, model.predict_encoded(visual, samples))
        labels += [True] + [False] * num_negative
        groups += [number[videos[i]]] * (1 + num_negative)
    return ScoredPairs(features, np.array(labels), np.array(groups))


def feature_table(features: Sequence[Dict[str, float]]
                  ) -> Tuple[Tuple[str, ...], np.ndarray]:
    """Names of the features that all pairs have, and their values, (N, F)."""
    names = tuple(n for n in SPAN_FEATURES + ATTENDANCE_FEATURES
                  if all(n in f for f in features))
    return names, np.array([[f[n] for n in names] for f in features])


def fit_logistic(values: np.ndarray,
                 labels: np.ndarray,
                 decay: float = 1.0) -> Tuple[np.ndarray, float]:
    """Logistic regression with squared weights as a penalty.

    True and negative sentences count alike in sum, however many there are of
    either, so a confidence of 0.5 means "as often true as not".

    Args:
        values (np.ndarray): Standardised features, (N, F).
        labels (np.ndarray): (N, ), bool.
        decay (float): Weight of ``|w|^2 / 2`` against the summed loss.

    Returns:
        tuple[np.ndarray, float]: Weights (F, ) and bias.

    Raises:
        ValueError: If one of the two classes is absent.
    """
    labels = labels.astype(bool)
    counts = labels.sum(), (~labels).sum()
    if min(counts) == 0:
        raise ValueError(f'{counts[0]} true and {counts[1]} negative ones'
                         ': both are needed')
    shares = np.where(labels, 0.5 / counts[0], 0.5 / counts[1]) * len(labels)
    signs = np.where(labels, 1.0, -1.0)
    rows = np.column_stack([values, np.ones(len(values))])

    def loss(w: np.ndarray) -> Tuple[float, np.ndarray]:
        margins = signs * (rows @ w)
        slopes = -signs * np.exp(-np.logaddexp(0, margins))
        penalty = np.append(w[:-1], 0.0)
        return (float(shares @ np.logaddexp(0, -margins)) +
                0.5 * decay * float(penalty @ penalty),
                rows.T @ (shares * slopes) + decay * penalty)

    w = minimize(loss, np.zeros(rows.shape[1]), jac=True, method='L-BFGS-B').x
    return w[:-1], float(w[-1])


def roc_auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC curve: how often a true pair outranks a false one.

    Ties count half (Mann-Whitney).

    Args:
        scores (np.ndarray): (N, ).
        labels (np.ndarray): (N, ), bool.
    """
    labels = labels.astype(bool)
    true, false = int(labels.sum()), int((~labels).sum())
    if not true or not false:
        raise ValueError('an ROC curve needs true and false pairs')
    ranks = rankdata(scores)[labels].sum()
    return float((ranks - true * (true + 1) / 2) / (true * false))


def calibration_error(probs: np.ndarray,
                      labels: np.ndarray,
                      num_bins: int = 10) -> float:
    """Expected calibration error over bins of equal width.

    Args:
        probs (np.ndarray): Probability of being true, (N, ), in [0, 1].
        labels (np.ndarray): (N, ), bool.
        num_bins (int): Number of bins.

    Returns:
        float: Mean distance, over pairs, of a bin's mean probability and its
        share of true pairs.
    """
    index = np.minimum((probs * num_bins).astype(int), num_bins - 1)
    gaps = [
        abs(probs[index == b].sum() - labels[index == b].sum())
        for b in range(num_bins)
    ]
    return float(sum(gaps) / len(probs))


def best_threshold(scores: np.ndarray,
                   labels: np.ndarray,
                   max_miss: Optional[float] = None) -> float:
    """The score from which a pair is to count as true.

    Args:
        scores (np.ndarray): (N, ).
        labels (np.ndarray): (N, ), bool.
        max_miss (float, optional): Highest share of true pairs that may be
            refused; of the thresholds that keep to it, the highest.  Without
            it the threshold with the best balanced accuracy.

    Returns:
        float: Halfway between two scores, so that no pair lies on it.
    """
    labels = labels.astype(bool)
    edges = np.unique(scores)
    cuts = np.concatenate([edges[:1], (edges[1:] + edges[:-1]) / 2])
    kept = np.array([(scores[labels] >= c).mean() for c in cuts])
    if max_miss is not None:
        return float(cuts[kept >= 1 - max_miss].max())
    refused = np.array([(scores[~labels] < c).mean() for c in cuts])
    return float(cuts[(kept + refused).argmax()])


def fit_calibration(pairs: ScoredPairs,
                    *,
                    num_folds: int = 5,
                    max_miss: Optional[float] = None,
                    decay: float = 1.0,
                    seed: int = 0,
                    digest: Optional[str] = None,
                    notes: Optional[dict] = None) -> Calibration:
    """Fit a calibration, and tell how well it does on videos it never saw.

    Weights are fitted on all pairs.  The threshold and the report come from
    out-of-fold probabilities: every video's pairs are scored by a model that
    was fitted on the other folds.

    Args:
        pairs (:obj:`ScoredPairs`): Predictions for true and negative
            sentences.
        num_folds (int): Folds of the cross-validation.
        max_miss (float, optional): See :func:`best_threshold`.
        decay (float): See :func:`fit_logistic`.
        seed (int): Seed of the folds.
        digest (str, optional): Of the checkpoint's weights.
        notes (dict, optional): What else the report is to say.

    Returns:
        Calibration: With a report.

    Raises:
        ValueError: If there are fewer videos than folds, or only one class.
    """
    names, values = feature_table(pairs.features)
    labels = pairs.labels.astype(bool)
    folds = _draw_folds(pairs.groups, num_folds, seed)
    held_out = np.zeros(len(labels))
    for fold in range(num_folds):
        out = folds == fold
        held_out[out] = _fit(names, values[~out], labels[~out],
                             decay).probability(values[out])
    threshold = best_threshold(held_out, labels, max_miss)
    report = dict(
        num_true=int(labels.sum()),
        num_negative=int((~labels).sum()),
        num_folds=num_folds,
        roc_auc=roc_auc(held_out, labels),
        roc_auc_of_span_probability=roc_auc(
            values[:, names.index('span_log_prob')], labels),
        **_rates(held_out >= threshold, labels),
        brier=float(np.mean((held_out - labels)**2)),
        calibration_error=calibration_error(held_out, labels),
        **(notes or {}))
    return replace(
        _fit(names, values, labels, decay),
        threshold=threshold,
        weights_digest=digest,
        report=report)


def _fit(names: Tuple[str, ...], values: np.ndarray, labels: np.ndarray,
         decay: float) -> Calibration:
    """Standardise and fit; threshold and report are still to come."""
    mean, scale = values.mean(0), values.std(0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    weights, bias = fit_logistic((values - mean) / scale, labels, decay)
    return Calibration(names, mean.tolist(), scale.tolist(), weights.tolist(),
                       bias, 0.5)


def _draw_folds(groups: np.ndarray, num_folds: int, seed: int) -> np.ndarray:
    """The fold of every pair, the same for all pairs of a video."""
    videos = np.unique(groups)
    if len(videos) < num_folds or num_folds < 2:
        raise ValueError(f'{len(videos)} videos cannot make {num_folds} folds '
                         'of at least 2')
    order = np.random.default_rng(seed).permutation(len(videos))
    fold_of = dict(zip(videos[order].tolist(), np.arange(len(videos)) %
                       num_folds))
    return np.array([fold_of[g] for g in groups.tolist()])


def _rates(found: np.ndarray, labels: np.ndarray) -> dict:
    """Shares of right answers, true pairs kept, negative ones refused."""
    kept = float(found[labels].mean())
    refused = float((~found[~labels]).mean())
    return dict(
        accuracy=float((found == labels).mean()),
        balanced_accuracy=(kept + refused) / 2,
        true_found=kept,
        negative_refused=refused)
