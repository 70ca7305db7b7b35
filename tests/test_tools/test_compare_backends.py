# Copyright (c) costa_mm authors. All rights reserved.
import importlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from tiny_model import build, grounder_cfg, make_batch

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def tool():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / 'tools' / 'analysis_tools'))
        yield importlib.import_module('compare_backends')


class TwoVideos:
    metainfo = {}

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return {k: v[index] for k, v in make_batch().items()}


def test_every_way_is_scored_by_itself(tool, monkeypatch):
    model = build(grounder_cfg())
    own = model.backbone

    class NoFeatures(torch.nn.Module):

        def __init__(self, backend, path):
            super().__init__()
            assert (backend, path) == ('openvino', 'a/b.onnx')

        def forward(self, x, durations=None):
            return tuple(0 * m for m in own(x, durations))

    monkeypatch.setattr(tool, 'GraphBackbone', NoFeatures)
    monkeypatch.setattr(tool, 'first_dataset', lambda *args: None)
    monkeypatch.setattr(tool.DATASETS, 'build', lambda cfg: TwoVideos())
    seen = {}

    def process(self, data_samples, data_batch):
        for sample in data_samples:
            seen.setdefault(id(self), []).append(sample.pred_boxes)

    monkeypatch.setattr(tool.Evaluator, 'process', process)
    monkeypatch.setattr(tool.Evaluator, 'evaluate',
                        lambda self, size: {'stvg/m_vIoU': float(size)})
    cfg = ConfigDict(test_evaluator=dict(type='costa_mm.STVGMetric'))
    args = SimpleNamespace(split='test', number=5, graph=['openvino:a/b.onnx'])
    found = tool.compare(cfg, model, args)
    assert list(found) == ['pytorch float32', 'pytorch bfloat16',
                           'openvino b.onnx']
    assert all(out['seconds'] > 0 and out['metrics'] == {'stvg/m_vIoU': 2.}
               for out in found.values())
    full, half, none = seen.values()
    assert [len(x) for x in full] == [5, 3] == [len(x) for x in none]
    np.testing.assert_allclose(half[0], full[0], atol=2)
    assert np.abs(half[0] - full[0]).max() > 0
    assert np.abs(none[0] - full[0]).max() > 0.1
    assert tool.value_of({'stvg/m_vIoU': 2.}, 'm_vIoU') == 2.
    assert np.isnan(tool.value_of({}, 'm_vIoU'))


def test_a_graph_names_its_engine(tool):
    with pytest.raises(SystemExit):
        tool.parse_args(['c.py', 'c.pth', '--graph', 'x.onnx'])
