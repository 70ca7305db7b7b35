# Copyright (c) costa_mm authors. All rights reserved.
"""An exported graph is equal to the model."""
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_model import build, grounder_cfg

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
