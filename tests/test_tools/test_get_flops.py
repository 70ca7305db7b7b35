# Copyright (c) costa_mm authors. All rights reserved.
import json
import runpy
import sys
from pathlib import Path

import pytest
import tiny_model
import torch
from mmengine.config import Config
from torch import nn

TOOL = Path(
    __file__).resolve().parents[2] / 'tools/analysis_tools/get_flops.py'


def run(monkeypatch, capsys, *args):
    monkeypatch.setattr(sys, 'argv', [str(TOOL), *map(str, args)])
    runpy.run_path(str(TOOL))['main']()
    rows = {}
    for line in capsys.readouterr().out.splitlines()[2:]:
        name, *numbers = line.rsplit(maxsplit=4)
        rows[name.strip()] = [
            float(n) if n != '-' else None for n in numbers
        ]
    return rows


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'tiny.py'
    Config(dict(model=tiny_model.grounder_cfg())).dump(path)
    return path


def test_sizes_add_up(config, monkeypatch, capsys):
    rows = run(monkeypatch, capsys, config, '--no-flops')
    total = rows.pop('total')
    model = tiny_model.build(tiny_model.grounder_cfg())
    count = sum(v.numel() for v in model.state_dict().values())
    assert total[0] == pytest.approx(count / 1e6, abs=1e-3)
    for k in range(3):
        assert sum(r[k] for r in rows.values()) == pytest.approx(
            total[k], abs=0.01)
    assert total[3] is None


def test_flops_grow_with_the_video(config, monkeypatch, capsys):
    small = run(monkeypatch, capsys, config, '--shape', 2, 256, 256)
    large = run(monkeypatch, capsys, config, '--shape', 8, 256, 256)
    assert small['backbone.spatial'][3] > 0
    assert large['backbone.spatial'][3] == pytest.approx(
        4 * small['backbone.spatial'][3], rel=0.1)


def test_unknown_text_encoders_must_be_loaded(tmp_path, monkeypatch, capsys):
    cfg = tiny_model.grounder_cfg(
        text_encoder=dict(
            type='costa_mm.HFTextEncoder', model_name='bert-huge'))
    Config(dict(model=cfg)).dump(tmp_path / 'a.py')
    with pytest.raises(ValueError, match='--load-text'):
        run(monkeypatch, capsys, tmp_path / 'a.py', '--no-flops')


def test_parts_of_any_method_are_found():
    class Method(nn.Module):
        """A stage with a list of layers, one that is a layer, a shared one."""

        def __init__(self):
            super().__init__()
            self.preprocessor = nn.Identity()
            self.ranker = nn.Module()
            self.ranker.layers = nn.ModuleList([nn.Linear(2, 3)] * 1)
            self.ranker.bias = nn.Parameter(torch.zeros(7))
            self.scores = nn.Linear(4, 1)

    flops = {'ranker': 70., 'ranker.layers.0': 60., 'scores': 5., '': 75.}
    rows = runpy.run_path(str(TOOL))['rows'](Method(), flops)
    assert [(name, *map(int, numbers)) for name, *numbers in rows] == [
        ('ranker.layers', 9, 9, 9, 60),
        ('ranker, rest', 7, 7, 7, 10),
        ('scores, rest', 5, 5, 5, 5),
        ('total', 21, 21, 21, 75),
    ]


def test_a_folder_of_a_text_encoder_is_not_loaded(tmp_path, monkeypatch,
                                                  capsys):
    sizes = tiny_model.text_cfg()['config']
    (tmp_path / 'config.json').write_text(json.dumps(sizes))
    cfg = tiny_model.grounder_cfg(text_encoder=dict(
        type='costa_mm.HFTextEncoder', model_name=str(tmp_path),
        out_channels=tiny_model.C))
    Config(dict(model=cfg)).dump(tmp_path / 'a.py')
    rows = run(monkeypatch, capsys, tmp_path / 'a.py', '--no-flops')
    model = tiny_model.build(tiny_model.text_cfg()).model
    count = sum(p.numel() for p in model.parameters())
    assert rows['text_encoder.model'][1] == pytest.approx(count / 1e6,
                                                          abs=1e-3)
