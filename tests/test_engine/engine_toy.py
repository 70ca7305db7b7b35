# Copyright (c) costa_mm authors. All rights reserved.
"""A small real training: draws, dropout, EMA, workers, schedulers."""
import os
import os.path as osp
import runpy
import signal
import sys
import time
import uuid
import warnings
from typing import Callable, Optional

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset

# what the registries import at the first build, once for all processes
import costa_mm.datasets
import costa_mm.datasets.samplers
import costa_mm.evaluation
import costa_mm.models
import costa_mm.visualization  # noqa: F401
from costa_mm.engine import STVGRunner
from costa_mm.registry import DATASETS, METRICS, MODELS

sys.path.insert(0, osp.dirname(osp.dirname(osp.abspath(__file__))))

from quick_config import keep_layouts  # noqa: E402

keep_layouts()


@DATASETS.register_module()
class ToyDataset(Dataset):
    """Noisy frames; the noise is a function of (seed, epoch, sample)."""

    def __init__(self, length=12, nan_at=(), bad=(), sleep=0.0):
        self.length, self.nan_at, self.bad = length, set(nan_at), set(bad)
        self.sleep = sleep
        self.seed = 0
        self.num_skipped = 0

    metainfo = dict(dataset_type='toy')

    def __len__(self):
        return self.length

    def __getitem__(self, idx):
        time.sleep(self.sleep)
        if int(idx) in self.bad:  # as on_error='skip' of BaseSTVGDataset
            self.num_skipped += 1
            return self[(int(idx) + 1) % self.length]
        rng = np.random.default_rng(
            [self.seed, getattr(idx, 'epoch', 0),
             int(idx)])
        inputs = rng.standard_normal((3, 8, 8)).astype(np.float32)
        if int(idx) in self.nan_at:
            inputs[0, 0, 0] = np.nan
        sample = BaseDataElement(
            metainfo=dict(sample_id=f'toy_{int(idx)}'),
            target=torch.tensor(float(int(idx) % 4)))
        return dict(inputs=torch.from_numpy(inputs), data_samples=sample)


@MODELS.register_module()
class ToyModel(BaseModel):
    """Convolution, frozen part, batch norm, dropout."""

    def __init__(self, dropout=0.3, norm=True):
        super().__init__()
        self.frozen = nn.Linear(8, 8).requires_grad_(False)
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4) if norm else nn.Identity()
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(4, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        x = self.frozen(torch.stack(list(inputs)))
        x = self.norm(self.conv(x)).relu().mean((2, 3))
        out = self.head(self.drop(x)).squeeze(1)
        if mode == 'loss':
            target = torch.stack([s.target for s in data_samples])
            return dict(loss=F.mse_loss(out.float(), target))
        if mode == 'predict':
            for sample, value in zip(data_samples, out):
                sample.pred = value
            return data_samples
        return out


@METRICS.register_module()
class ToyMetric(BaseMetric):
    """Mean error, each sample once."""

    default_prefix = 'toy'

    def process(self, data_batch, data_samples):
        for s in data_samples:
            self.results.append((s['sample_id'],
                                 float((s['pred'] - s['target'])**2)))

    def compute_metrics(self, results):
        scores = dict(results)
        return dict(
            count=len(scores), score=-sum(sorted(scores.values())) /
            len(scores))


def toy_config(work_dir, **changes) -> Config:
    """Config of the toy training; ``changes`` have dotted keys as names."""
    loader = dict(
        batch_size=2,
        num_workers=1,
        persistent_workers=True,
        dataset=dict(type='ToyDataset'),
        sampler=dict(type='EpochSampler', shuffle=True))
    val_loader = dict(
        loader,
        dataset=dict(type='ToyDataset', length=5),
        num_workers=0,
        persistent_workers=False,
        sampler=dict(type='EpochSampler', shuffle=False, round_up=False))
    cfg = Config(
        dict(
            default_scope='costa_mm',
            work_dir=str(work_dir),
            # MMEngine's managers know runs by name and second
            experiment_name=uuid.uuid4().hex,
            model=dict(type='ToyModel'),
            train_dataloader=loader,
            val_dataloader=val_loader,
            test_dataloader=val_loader,
            train_cfg=dict(by_epoch=True, max_epochs=8, val_interval=2),
            val_cfg=dict(),
            test_cfg=dict(),
            val_evaluator=dict(type='ToyMetric'),
            test_evaluator=dict(type='ToyMetric'),
            optim_wrapper=dict(
                type='OptimWrapper',
                clip_grad=dict(max_norm=1.0),
                optimizer=dict(type='AdamW', lr=0.01)),
            param_scheduler=[
                dict(
                    type='LinearLR',
                    start_factor=0.1,
                    by_epoch=False,
                    begin=0,
                    end=8),
                dict(type='MultiStepLR', milestones=[2], by_epoch=True)
            ],
            default_hooks=dict(
                logger=dict(type='LoggerHook', interval=5),
                checkpoint=dict(
                    type='AtomicCheckpointHook',
                    interval=2,
                    by_epoch=False,
                    max_keep_ckpts=2,
                    save_best='toy/score',
                    rule='greater')),
            custom_hooks=[
                dict(type='STVGEMAHook', momentum=0.1),
                dict(type='SaveOnSignalHook'),
                dict(type='NonFiniteLossHook')
            ],
            randomness=dict(seed=3),
            log_level='ERROR'))
    cfg.merge_from_dict(changes)
    return cfg


def train(work_dir,
          resume: bool = False,
          kill: Optional[Callable] = None,
          **changes) -> None:
    """Train in this process; ``kill`` may prepare its sudden end."""
    torch.set_num_threads(1)
    os.makedirs(work_dir, exist_ok=True)
    cfg = toy_config(work_dir, **changes)
    if resume:
        from costa_mm.engine import latest_checkpoint
        cfg.load_from = latest_checkpoint(str(work_dir))
        cfg.resume = cfg.load_from is not None
    if kill is not None:
        kill()
    warnings.simplefilter('ignore')  # about the start method
    STVGRunner.from_cfg(cfg).train()


class KillAtCall:
    """SIGKILL for the own process at the n-th call of a function of os."""

    def __init__(self, name: str, count: int, after: bool = False):
        self.name, self.count, self.after = name, count, after

    def __call__(self):
        original, calls = getattr(os, self.name), [0]

        def counted(*args, **kwargs):
            calls[0] += 1
            if calls[0] == self.count and not self.after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = original(*args, **kwargs)
            if calls[0] == self.count:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(os, self.name, counted)


def final_state(work_dir, name: str = 'iter_48.pth') -> dict:
    """Everything of the last checkpoint that must not depend on luck."""
    checkpoint = torch.load(osp.join(work_dir, name), weights_only=True)
    return {
        key: checkpoint[key]
        for key in ('state_dict', 'ema_state_dict', 'optimizer',
                    'param_schedulers', 'run_state') if key in checkpoint
    }


def differences(a, b, path: str = '') -> list:
    """Paths at which two nested states differ in any bit."""
    if isinstance(a, torch.Tensor):
        same = a.dtype == b.dtype and torch.equal(a, b)
        return [] if same else [path]
    if isinstance(a, dict):
        if a.keys() != b.keys():
            return [f'{path}: {sorted(map(str, a.keys() ^ b.keys()))}']
        return [d for k in a for d in differences(a[k], b[k], f'{path}.{k}')]
    if isinstance(a, (list, tuple)):
        if len(a) != len(b):
            return [path]
        return [
            d for i, (x, y) in enumerate(zip(a, b))
            for d in differences(x, y, f'{path}[{i}]')
        ]
    return [] if a == b else [f'{path}: {a} / {b}']


def train_rank(rank: int, world: int, port: int, work_dir, *args,
               **changes) -> None:
    """Train as one of several gloo processes; dump this one's weights."""
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world),
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(port))
    keep = {}
    original = STVGRunner.train

    def kept(self):
        keep['runner'] = self
        return original(self)

    STVGRunner.train = kept
    train(work_dir, *args, launcher='pytorch', **changes)
    torch.save(keep['runner'].model.module.state_dict(),
               osp.join(work_dir, f'rank{rank}.pth'))



def run_tool(rank: int, world: int, port: int, log, tool, *args) -> None:
    """A tool's ``main`` as one of several gloo processes; ``log`` hears it."""
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world),
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(port))
    with open(log, 'w') as f:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(f.fileno(), stream.fileno())
    sys.argv = [str(tool), *map(str, args)]
    runpy.run_path(str(tool))['main']()


PLAIN = {
    # no dropout and no batch norm, which see a batch and not a sample
    'model': dict(dropout=0.0, norm=False),
    'optim_wrapper': dict(
        _delete_=True, type='OptimWrapper',
        optimizer=dict(type='SGD', lr=0.1)),
    'param_scheduler': None,
    'custom_hooks': [],
}
