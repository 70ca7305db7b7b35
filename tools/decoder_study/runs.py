# Copyright (c) costa_mm authors. All rights reserved.
"""Training and scoring one row with one seed on cached features."""
import time
from types import MappingProxyType
from typing import Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from torch import Tensor, nn

from costa_mm.evaluation import STVGMetric
from costa_mm.evaluation.protocols import match_boxes
from costa_mm.models import SpatioTemporalGrounder
from costa_mm.models.layers import xavier_matrices
from .features import Clips, SentenceTable
from .probes import Probe, probes_of

#: What is asked of every trained row, where it has the parts.
PROBES = ('as it is', 'true labels', 'inverted labels', 'all labels 0',
          'spatial decoder, one frame at a time', 'after layer 1')
METRICS = ('m_tIoU', 'm_vIoU', 'vIoU@0.5', 'm_sIoU', 'jump_rate')
CURVE = ('loss_bbox', 'loss_giou', 'loss_span', 'loss_cell')
_BATCH = 50


class Recipe(NamedTuple):
    """How every row is trained.

    Attributes:
        iterations (int): Number of batches.
        batch_size (int): Clips per batch.
        log_every (int): Iterations whose mean losses are kept.
        optim_wrapper (dict): MMEngine's.
        param_scheduler (list[dict]): MMEngine's, by iteration.
    """
    iterations: int
    batch_size: int
    log_every: int
    optim_wrapper: dict
    param_scheduler: List[dict]


class Start(NamedTuple):
    """How a head's weights begin, where a row says otherwise than its config.

    Attributes:
        xavier (Sequence[str]): Modules whose matrices are Xavier.
        normal (Mapping[str, float]): Parameters that are normal, and their
            standard deviation.
        zero (Sequence[str]): Modules that are zeros and stay so.
    """
    xavier: Sequence[str] = ()
    normal: Mapping[str, float] = MappingProxyType({})
    zero: Sequence[str] = ()

    def apply(self, head: nn.Module) -> None:
        """Begin."""
        for name in self.xavier:
            xavier_matrices(head.get_submodule(name))
        for name, std in self.normal.items():
            nn.init.normal_(head.get_parameter(name), std=std)
        for name in self.zero:
            for param in head.get_submodule(name).parameters():
                nn.init.zeros_(param.requires_grad_(False))


AS_CONFIGURED = Start()


def build_row(model: Config, words: Mapping[str, Tensor], seed: int,
              start: Start = AS_CONFIGURED) -> nn.Module:
    """A row's grounder with new weights and without a backbone.

    Args:
        model (Config): Neck, head and data preprocessor.
        words (Mapping[str, Tensor]): Tokens of every sentence.
        seed (int): Of the initial weights.
        start (Start): How the head's weights begin.
    """
    torch.manual_seed(seed)
    grounder = SpatioTemporalGrounder(
        backbone=nn.Identity(),
        text_encoder=SentenceTable(words),
        neck=model.neck,
        head=model.head,
        test_cfg=model.test_cfg,
        data_preprocessor=model.data_preprocessor)
    grounder.neck.init_weights()
    grounder.head.init_weights()
    start.apply(grounder.head)
    return grounder


def batches(clips: Clips, recipe: Recipe,
            seed: int) -> Iterator[Tuple[np.ndarray, np.ndarray]]:
    """Clips of every batch and a draw for each: the same for all rows.

    The second half of the clips is the first one mirrored; every epoch takes
    one of the two of each.
    """
    rng = np.random.default_rng(seed)
    order, num = np.empty(0, dtype=np.int64), len(clips) // 2
    for _ in range(recipe.iterations):
        if len(order) < recipe.batch_size:
            order = rng.permutation(num) + num * rng.integers(0, 2, num)
        yield order[:recipe.batch_size], rng.random(recipe.batch_size)
        order = order[recipe.batch_size:]


def train_row(model: nn.Module, clips: Clips, recipe: Recipe, seed: int,
              cell_until: float = 1.) -> List[Dict[str, float]]:
    """Train neck and head.

    Args:
        model (nn.Module): From :func:`build_row`.
        clips (Clips): Training clips.
        recipe (Recipe): How.
        seed (int): Of order, mirroring and draws.
        cell_until (float): Part of the training after which the loss on the
            cells' attention is left away.

    Returns:
        list[dict[str, float]]: Mean losses of every stretch.
    """
    optim = build_optim_wrapper(model, recipe.optim_wrapper)
    schedules = [PARAM_SCHEDULERS.build(dict(s, optimizer=optim))
                 for s in recipe.param_scheduler]
    curve, stretch = [], []
    model.train()
    for i, (index, draws) in enumerate(batches(clips, recipe, seed)):
        losses = _losses(model, clips, index, draws)
        if i >= cell_until * recipe.iterations:
            losses = {k: v for k, v in losses.items() if 'loss_cell' not in k}
        optim.update_params(sum(losses.values()))
        for schedule in schedules:
            schedule.step()
        stretch.append({k: losses[k].detach() for k in CURVE if k in losses})
        if len(stretch) == recipe.log_every:
            curve.append({k: float(np.mean([s[k].item() for s in stretch]))
                          for k in stretch[-1]})
            stretch = []
    return curve


def _losses(model: nn.Module, clips: Clips, index: np.ndarray,
            draws: np.ndarray) -> Dict[str, Tensor]:
    text = model.encode_text([clips.samples[i].sentence for i in index])
    memory = model.neck(clips.visual(index), text)
    targets = clips.truth(index, draws)
    return model.head.loss_by_feat(model.head(memory, targets), targets)


@torch.no_grad()
def score_row(model: nn.Module,
              clips: Clips) -> Dict[str, Dict[str, float]]:
    """Metrics by probe.

    Besides those of the paper ``sIoU_acts`` and ``sIoU_rests``: the same in
    the frames of the event in which the target does something, and in which
    it rests, where that is known.
    """
    model.eval()
    out = {}
    for probe in probes_of(model.head, num_layers=2):
        if probe.name in PROBES:
            out[probe.name] = _score(model, clips, probe)
    return out


def _score(model: nn.Module, clips: Clips, probe: Probe) -> Dict[str, float]:
    metric, parts = STVGMetric(per_factor=False), []
    for first in range(0, len(clips), _BATCH):
        index = np.arange(first, min(first + _BATCH, len(clips)))
        samples = [clips.samples[i].clone() for i in index]
        with probe.on(model.head, clips.truth(index, np.zeros(len(index)))):
            model.predict_encoded((clips.visual(index), ), samples)
        metric.process({}, samples)
        if clips.rests is not None:
            parts += [_by_rest(s, clips.rests[i])
                      for s, i in zip(samples, index)]
    values = metric.evaluate(len(clips))
    out = {k: values[f'stvg/{k}'] for k in METRICS if f'stvg/{k}' in values}
    if parts:
        acts, rests = np.nanmean(parts, axis=0)
        out.update(sIoU_acts=float(acts), sIoU_rests=float(rests))
    return out


def _by_rest(sample, rest: np.ndarray) -> Tuple[float, float]:
    frames, ious, _ = match_boxes(sample.pred_tube, sample.gt_tube)
    rests = rest[frames]
    return tuple(
        float(ious[part].mean()) if part.any() else float('nan')
        for part in (~rests, rests))


def run_row(model: Config, recipe: Recipe, seed: int, clips: Sequence[Clips],
            start: Start = AS_CONFIGURED, cell_until: float = 1.) -> dict:
    """Train and score.

    Args:
        model (Config): The row's model.
        recipe (Recipe): How it is trained.
        seed (int): Of everything random.
        clips (Sequence[Clips]): Of training and of test, where it is trained.
        start (Start): How the head's weights begin.
        cell_until (float): See :func:`train_row`.

    Returns:
        dict: ``scores`` by probe, ``curve``, ``seconds`` of training,
        ``parameters``.
    """
    train, test = clips
    words = {**test.words, **train.words}
    grounder = build_row(model, words, seed, start)
    grounder.to(train.features.device)
    began = time.process_time()
    curve = train_row(grounder, train, recipe, seed, cell_until)
    seconds = time.process_time() - began
    return dict(
        scores=score_row(grounder, test),
        curve=curve,
        seconds=round(seconds, 1),
        parameters=sum(p.numel() for p in grounder.parameters()))
