# Copyright (c) costa_mm authors. All rights reserved.
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel

from costa_mm.apis import Calibration
from costa_mm.registry import DATASETS, MODELS
from costa_mm.structures import Tube, TubeDataSample

TOOL = Path(__file__).resolve().parents[
    2] / 'tools/analysis_tools/calibrate_confidence.py'
NUM = 12


@DATASETS.register_module(force=True)
class TwelveVideos:
    """Video ``i`` shows the number ``i``, and its sentence says so."""

    def __init__(self, on_error):
        assert on_error == 'raise'

    def __len__(self):
        return NUM

    def get_data_info(self, i):
        """The record."""
        return dict(video_id=str(i), sentence=f'number {i}', width=2 + i,
                    height=2)

    def __getitem__(self, i):
        sample = TubeDataSample(
            metainfo=dict(sentence=f'number {i}', frame_ids=np.arange(4)))
        return dict(inputs=torch.full((4, 3, 2, 2), i), data_samples=sample)


@MODELS.register_module(force=True)
class NumberReader(BaseModel):
    """More sure of its span if the video shows the number that is said."""

    def __init__(self):
        super().__init__()
        self.sure = torch.nn.Parameter(torch.tensor(0.8))
        self.encoded = 0

    def forward(self, *args, **kwargs):
        """Never called."""
        raise NotImplementedError

    def encode_video(self, inputs):
        """The number."""
        self.encoded += 1
        return [int(x.flatten()[0]) for x in inputs]

    def predict_encoded(self, visual, data_samples):
        """Predict."""
        for sample in data_samples:
            right = sample.sentence == f'number {visual[0]}'
            sample.pred_score = float(self.sure if right else 0.2)
            sample.pred_score += 0.01 * visual[0]
            sample.pred_tube = Tube((1, 3))
            sample.pred_start = sample.pred_end = np.full(4, 0.25)
            sample.pred_boxes = np.ones((4, 4))
        return data_samples


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs the tool, returns what it wrote and what it said."""
    config, weights = tmp_path / 'numbers.py', tmp_path / 'epoch_1.pth'
    Config(
        dict(model=dict(type='NumberReader'),
             val_dataloader=dict(dataset=dict(type='TwelveVideos')))).dump(
                 config)
    torch.save(dict(state_dict=NumberReader().state_dict()), weights)

    def call(*args):
        argv = ['tool', str(config), str(weights), *map(str, args)]
        monkeypatch.setattr(sys, 'argv', argv)
        spec = importlib.util.spec_from_file_location('calibrate', TOOL)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.main()
        return capsys.readouterr().out

    return call


def test_what_can_be_told_apart_is(run, tmp_path):
    said = run('--device', 'cpu')
    model = Calibration.load(tmp_path / 'epoch_1.calibration.json')
    assert model.report['num_true'] == model.report['num_negative'] == NUM
    assert model.report['roc_auc'] == model.report['accuracy'] == 1.0
    assert model.report['split'] == 'val'
    assert model.domain == dict(
        name='numbers, val split', width=[2, 1 + NUM], height=[2, 2])
    assert model.features == ('span_log_prob', 'span_entropy', 'box_jumps')
    sure, unsure = (
        model.confidence(dict(span_log_prob=np.log(p), span_entropy=1.,
                              box_jumps=0.)) for p in (0.85, 0.25))
    assert sure > 0.85 > 0.15 > unsure
    assert 'ROC-AUC                           1.0000' in said
    assert said.rstrip().endswith('epoch_1.calibration.json')


def test_options(run, tmp_path):
    run('--foreign', 3, '--folds', 3, '--out', tmp_path / 'c.json',
        '--cfg-options', 'val_dataloader.batch_size=1')
    report = Calibration.load(tmp_path / 'c.json').report
    assert (report['num_true'], report['num_negative']) == (NUM, 3 * NUM)
    assert not (tmp_path / 'epoch_1.calibration.json').exists()
    with pytest.raises(ValueError, match='12 videos cannot make 20 folds'):
        run('--folds', 20)
