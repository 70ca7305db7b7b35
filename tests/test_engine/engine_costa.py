# Copyright (c) costa_mm authors. All rights reserved.
"""CoSTA-tiny on a few synthetic videos, in the frame of the toy training."""
import os
import resource
import sys
from pathlib import Path

import engine_toy
import torch
from mmengine.config import Config

from costa_mm.synthetic import Settings, write_benchmark

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests'))

import tiny_model  # noqa: E402

FRAMES = 6


def make_videos(folder: Path) -> None:
    """12 videos for training, 5 for validation."""
    write_benchmark(folder, Settings(size=64, num_frames=24),
                    dict(train=12, val=5, test=1))


def break_off(path: Path) -> None:
    """Destroy the second half of a video: it opens and does not decode."""
    content = path.read_bytes()
    begin = content.index(b'mdat') + 4
    size = int.from_bytes(content[begin - 8:begin - 4], 'big') - 8
    middle = begin + size // 2
    path.write_bytes(content[:middle] + b'\xff' *
                     (begin + size - middle) + content[begin + size:])


def dataset(folder, split: str, **kwargs) -> dict:
    """A split, augmented if it is the training split."""
    train = split == 'train'
    return dict(
        type='HCSTVGDataset',
        ann_file=f'{split}.json',
        data_root=str(folder),
        data_prefix=dict(video=f'videos/{split}'),
        test_mode=not train,
        pipeline=[
            dict(type='SampleFrames', mode='uniform', num_frames=FRAMES),
            dict(type='LoadVideoFrames'),
            dict(type='LoadTubeAnnotations'),
            *([
                dict(type='RandomTemporalCrop', level='frames'),
                dict(type='FlipWithText', prob=0.5)
            ] if train else []),
            dict(type='ResizeClip', scale=(64, 64)),
            dict(type='PackSTVGInputs')
        ],
        **kwargs)


def frozen_text() -> dict:
    """A frozen text encoder: it must stay out of checkpoint and average."""
    return tiny_model.text_cfg(frozen=True)


def costa_config(work_dir, folder, *, dropout: float = 0.1,
                 **changes) -> Config:
    """Config of CoSTA-tiny."""
    cfg = engine_toy.toy_config(work_dir)
    cfg.model = tiny_model.grounder_cfg(
        neck=tiny_model.neck_cfg(dropout=dropout),
        head=tiny_model.head_cfg(dropout=dropout),
        text_encoder=frozen_text())
    cfg.train_dataloader.dataset = dataset(folder, 'train')
    val = dataset(folder, 'val', on_error='skip')
    cfg.val_dataloader.dataset = cfg.test_dataloader.dataset = val
    # the neighbours in a batch change the eighth digit of a prediction
    cfg.val_dataloader.batch_size = cfg.test_dataloader.batch_size = 1
    metric = dict(type='STVGMetric', diagnostics=False)
    cfg.val_evaluator = cfg.test_evaluator = metric
    cfg.default_hooks.checkpoint.save_best = 'stvg/m_tIoU'
    cfg.optim_wrapper.optimizer.lr = 1e-3
    cfg.train_cfg.max_epochs = 4
    cfg.merge_from_dict(changes)
    return cfg


def train(work_dir, folder, *args, **kwargs) -> None:
    """As ``engine_toy.train``, CoSTA-tiny instead of the toy."""
    engine_toy.toy_config = lambda work_dir, **changes: costa_config_of(
        work_dir, folder, changes)
    engine_toy.train(work_dir, *args, **kwargs)


def train_rank(rank, world, port, work_dir, folder, *args, **kwargs) -> None:
    """As ``engine_toy.train_rank``."""
    engine_toy.toy_config = lambda work_dir, **changes: costa_config_of(
        work_dir, folder, changes)
    engine_toy.train_rank(rank, world, port, work_dir, *args, **kwargs)


_TOY_CONFIG = engine_toy.toy_config


def costa_config_of(work_dir, folder, changes: dict) -> Config:
    """``costa_config`` while ``toy_config`` is replaced by it."""
    replaced, engine_toy.toy_config = engine_toy.toy_config, _TOY_CONFIG
    try:
        return costa_config(work_dir, folder, **changes)
    finally:
        engine_toy.toy_config = replaced


def resident_bytes() -> int:
    """Memory of this process that is in use now."""
    with open('/proc/self/statm') as f:
        return int(f.read().split()[1]) * resource.getpagesize()


class MemoryNote:
    """Notes the memory of the process after every iteration."""

    def __init__(self, path):
        self.path = path

    def __call__(self):
        from mmengine.hooks import IterTimerHook
        original = IterTimerHook.after_train_iter

        def noted(hook, runner, *args, **kwargs):
            with open(self.path, 'a') as f:
                f.write(f'{resident_bytes()}\n')
            return original(hook, runner, *args, **kwargs)

        IterTimerHook.after_train_iter = noted
        torch.set_num_threads(1)


def evaluate(rank, world, port, work_dir, folder, checkpoint, amp,
             out) -> None:
    """Test as one of several processes; the first writes the metrics."""
    import json

    from costa_mm.engine import STVGRunner
    torch.set_num_threads(1)
    cfg = costa_config(work_dir, folder)
    cfg.load_from = str(checkpoint)
    cfg.test_cfg.fp16 = amp
    if world > 1:
        cfg.launcher = 'pytorch'
        os.environ.update(
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE=str(world),
            MASTER_ADDR='127.0.0.1',
            MASTER_PORT=str(port))
    metrics = STVGRunner.from_cfg(cfg).test()
    if rank == 0:
        with open(out, 'w') as f:
            json.dump(metrics, f)


class GradientNote:
    """Writes the gradients of every update of the first process.

    In double precision, so that a difference is one of the computation and
    not of rounding; autocast leaves such numbers alone, so mixed precision
    and what it is compared with take ``double=False``.
    """

    def __init__(self, folder, optim_wrapper='OptimWrapper', double=True):
        self.folder = folder
        self.optim_wrapper = optim_wrapper
        self.double = double

    def __call__(self):
        from costa_mm.registry import OPTIM_WRAPPERS
        wrapper_type = OPTIM_WRAPPERS.get(self.optim_wrapper)
        if self.double:
            torch.set_default_dtype(torch.float64)
            torch.Tensor.float = torch.Tensor.double
        original, count = wrapper_type.step, [0]

        def noted(wrapper, **kwargs):
            count[0] += 1
            if os.environ.get('RANK', '0') == '0':
                grads = [
                    p.grad.clone()
                    for group in wrapper.optimizer.param_groups
                    for p in group['params'] if p.grad is not None
                ]
                torch.save(grads, f'{self.folder}/grads_{count[0]}.pth')
            return original(wrapper, **kwargs)

        wrapper_type.step = noted
