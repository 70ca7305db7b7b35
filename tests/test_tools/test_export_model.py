# Copyright (c) costa_mm authors. All rights reserved.
"""An exported graph is equal to the model."""
import argparse
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_model import BASE, build, grounder_cfg, head_cfg, neck_cfg, text_cfg
from torch import nn

TOOL = runpy.run_path(
    str(Path(__file__).resolve().parents[2] / 'tools' / 'model_converters' /
        'export_model.py'))
SHAPE = (5, 40, 56)  # is padded to 64 x 64


@pytest.fixture(scope='module')
def model():
    return build(grounder_cfg())


@pytest.fixture(scope='module')
def program(model):
    return TOOL['export'](model, SHAPE, 20)


def test_equal_to_eager(model, program):
    assert TOOL['difference'](model, program.module(), SHAPE, 20) < 1e-4


def test_the_video_and_the_sentence_reach_the_outputs(model, program):
    graph = program.module()
    video = torch.randint(256, (5, 3, 40, 56), dtype=torch.uint8)
    words = TOOL['word_pieces'](model, 'a red ball', 20)
    boxes, spans = graph(video, *words)
    assert boxes.shape == (5, 4) and spans.shape == (5, 2)
    other = TOOL['word_pieces'](model, 'the man walks', 20)
    assert not torch.equal(graph(video, *other)[0], boxes)
    assert not torch.equal(graph(255 - video, *words)[1], spans)


def test_a_file_of_it_runs_without_costa_mm(program, tmp_path):
    torch.export.save(program, tmp_path / 'x.pt2')
    code = ('import sys, torch\n'
            "graph = torch.export.load('x.pt2').module()\n"
            'video = torch.zeros(5, 3, 40, 56, dtype=torch.uint8)\n'
            'ids = torch.ones(1, 20, dtype=torch.long)\n'
            'print(tuple(graph(video, ids, ids)[0].shape),\n'
            "      'costa_mm' in sys.modules)\n")
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path,
                          capture_output=True, text=True)
    assert done.stdout.strip() == '(5, 4) False', done.stderr[-2000:]


def test_too_long_a_sentence(model):
    with pytest.raises(ValueError, match='word pieces, more than --num-words'):
        TOOL['word_pieces'](model, 'one two three four', 3)


# ------------------------------------------------------------- any size
class OneConvolution(nn.Module):
    """A backbone that is traced in no time."""

    frame_chunk = 4

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8 * BASE, 32, stride=32)

    def forward(self, x, durations):
        frames = self.conv(x.transpose(1, 2).flatten(0, 1))
        return (frames.unflatten(0, (1, -1)).transpose(1, 2), )


@pytest.fixture(scope='module')
def any_size():
    """A model with one layer of each kind, and its graph for any size."""
    one = text_cfg()
    one['config']['num_hidden_layers'] = 1
    model = build(grounder_cfg(
        backbone=OneConvolution(), text_encoder=one,
        neck=neck_cfg(num_layers=1),
        head=head_cfg(num_temporal_layers=1, num_spatial_layers=1)))
    return model, TOOL['export'](model, (4, 40, 70), 20, dynamic=True)


def test_three_shapes_are_different():
    shapes = TOOL['other_shapes']((4, 40, 70), 32)
    assert shapes == [(4, 40, 70), (7, 75, 71), (2, 70, 40)]


def test_a_graph_for_any_size(any_size):
    model, program = any_size
    graph = program.module()
    for shape in TOOL['other_shapes']((4, 40, 70), 32) + [(5, 64, 96)]:
        for num_words in (20, 14):
            assert TOOL['difference'](model, graph, shape, num_words) < 1e-4


def test_onnx_is_equal_to_eager(any_size, tmp_path):
    pytest.importorskip('onnxscript')
    pytest.importorskip('onnxruntime')
    model, program = any_size
    path = str(tmp_path / 'model.onnx')
    TOOL['save_onnx'](program, path)
    graph = TOOL['load_onnx'](path)
    for shape in TOOL['other_shapes']((4, 40, 70), 32) + [(5, 64, 96)]:
        assert TOOL['difference'](model, graph, shape, 16) < 1e-4


def test_without_onnx_it_is_said_what_to_install(any_size, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    with pytest.raises(ImportError, match='pip install onnx onnxscript'):
        TOOL['save_onnx'](any_size[1], 'x.onnx')


def test_nothing_is_written_where_graph_and_model_differ(
        model, program, tmp_path, monkeypatch):
    args = argparse.Namespace(out=str(tmp_path / 'x.pt2'), shape=SHAPE,
                              num_words=20, tolerance=1e-4, dynamic=False)
    name = 'export_file'
    monkeypatch.setitem(TOOL[name].__globals__, 'export',
                        lambda *a: program)
    TOOL[name](model, args)
    assert [p.name for p in tmp_path.iterdir()] == ['x.pt2']
    args.out, args.tolerance = str(tmp_path / 'y.pt2'), -1.
    with pytest.raises(SystemExit, match='nothing is written'):
        TOOL[name](model, args)
    assert [p.name for p in tmp_path.iterdir()] == ['x.pt2']
