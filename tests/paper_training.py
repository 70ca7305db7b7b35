# Copyright (c) costa_mm authors. All rights reserved.
"""A few iterations with everything that the paper's training has around them.
"""
from pathlib import Path

import torch
from mmengine.config import Config
from tiny_model import grounder_cfg, make_batch

import costa_mm.datasets.samplers
import costa_mm.visualization  # noqa: F401
from costa_mm.engine import STVGRunner
from costa_mm.registry import DATASETS

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'


@DATASETS.register_module(force=True)
class OneVideo(torch.utils.data.Dataset):
    metainfo = {}

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return {k: v[0] for k, v in make_batch().items()}


def paper_training(work_dir):
    """The tiny model with optimizer and hooks of the paper's training."""
    paper = Config.fromfile(CONFIGS / 'costa_hcstvg.py')
    paper.default_hooks.pop('visualization')
    paper.default_hooks.logger.interval = 3
    paper.default_hooks.checkpoint.update(interval=-1, save_last=False)
    loader = dict(
        batch_size=1, num_workers=0, dataset=dict(type='OneVideo'),
        sampler=dict(type='EpochSampler', shuffle=False),
        collate_fn=dict(type='pseudo_collate'))
    return STVGRunner(
        grounder_cfg(), str(work_dir), loader,
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=paper.optim_wrapper,
        param_scheduler=paper.param_scheduler,
        default_hooks=paper.default_hooks, custom_hooks=paper.custom_hooks,
        default_scope='costa_mm', experiment_name=str(work_dir),
        log_level='ERROR', cfg=Config())
