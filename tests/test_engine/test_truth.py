# Copyright (c) costa_mm authors. All rights reserved.
"""A split that cannot be scored is refused before the first epoch."""
import json

import numpy as np
import pytest
from engine_toy import toy_config

import costa_mm.datasets  # noqa: F401
import costa_mm.evaluation  # noqa: F401
from costa_mm.engine import STVGRunner
from costa_mm.visualization import write_video


@pytest.fixture
def config(tmp_path):
    """A toy that is scored on sentences of which one has no truth."""
    write_video(
        str(tmp_path / 'dog.mp4'), np.zeros((12, 64, 96, 3), np.uint8), 12)
    sentence = dict(
        text='a dog', span=[2, 9], boxes=[[1, 1, 20, 20]] * 7)
    (tmp_path / 'own.json').write_text(
        json.dumps(
            dict(videos=[
                dict(path='dog.mp4', sentences=[sentence, dict(text='hi')])
            ])))
    dataset = dict(
        type='costa_mm.STVGDataset',
        ann_file='own.json',
        data_root=str(tmp_path),
        test_mode=True)
    cfg = toy_config(tmp_path / 'work')
    cfg.val_dataloader.dataset = cfg.test_dataloader.dataset = dataset
    cfg.val_evaluator = cfg.test_evaluator = dict(type='costa_mm.STVGMetric')
    return cfg


def test_training_is_refused_before_the_first_step(config):
    runner = STVGRunner.from_cfg(config)
    with pytest.raises(ValueError, match='own.json: 1 of 2 sentences'):
        runner.train()
    assert runner.iter == 0


def test_a_wrapped_split_is_refused(config):
    config.test_dataloader.dataset = dict(
        type='mmengine.RepeatDataset',
        times=2,
        dataset=config.test_dataloader.dataset)
    with pytest.raises(ValueError, match=r'dog.mp4_1[^$]*format-only'):
        STVGRunner.from_cfg(config).test()


def test_what_is_only_predicted_needs_no_truth(config, tmp_path):
    config.test_evaluator.update(
        format_only=True, tube_file=str(tmp_path / 'out.json'))
    assert len(STVGRunner.from_cfg(config).test_loop.dataloader) == 1
    config.val_dataloader.dataset.filter_cfg = dict(truth_only=True)
    assert len(STVGRunner.from_cfg(config).val_loop.dataloader.dataset) == 1
