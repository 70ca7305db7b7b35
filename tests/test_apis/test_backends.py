# Copyright (c) costa_mm authors. All rights reserved.
"""The backbone behind other engines gives what PyTorch gives."""
import runpy
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from tiny_model import backbone_cfg, build, grounder_cfg, make_batch, swin_cfg

from costa_mm.apis import STVGInferencer
from costa_mm.apis.backends import GraphBackbone
from costa_mm.registry import MODELS

ROOT = Path(__file__).resolve().parents[2]
TINY = 'costa_tiny_synthetic'


def script(name):
    return runpy.run_path(str(ROOT / 'tools' / f'{name}.py'))


@pytest.fixture(scope='module')
def export():
    return script('model_converters/export_model')


@pytest.fixture(scope='module')
def model():
    """Two stages, which are traced fast, and batch norms that are folded."""
    cfg, two = backbone_cfg(), dict(num_stages=2, out_indices=(0, 1))
    cfg['spatial'] |= two | dict(strides=(1, 2), dilations=(1, 1))
    cfg['temporal'] |= two | dict(
        stage_blocks=(1, 1), spatial_strides=(1, 2), temporal_strides=(1, 1),
        dilations=(1, 1), inflate=(1, 1))
    for part, kind in (('spatial', 'BN'), ('temporal', 'BN3d')):
        cfg[part] |= dict(
            norm_cfg=dict(type=kind, requires_grad=False), norm_eval=True)
    return build(grounder_cfg(backbone=cfg | dict(
        out_indices=(1, ),
        efficient_conv_bn_eval=True, channels_last=True)))


@pytest.fixture(scope='module')
def graph(export, model, tmp_path_factory):
    pytest.importorskip('onnxscript')
    path = str(tmp_path_factory.mktemp('graph') / 'backbone.onnx')
    assert export['export_backbone'](model, (4, 64, 96), path) == ['features']
    return path


@pytest.fixture(scope='module')
def lifted_graph(export, model, tmp_path_factory):
    pytest.importorskip('onnxscript')
    path = str(tmp_path_factory.mktemp('lifted') / 'backbone.onnx')
    export['export_backbone'](model, (4, 64, 96), path, 'openvino')
    return path


@pytest.fixture(params=['onnxruntime', 'openvino'])
def backend(request):
    pytest.importorskip(request.param)
    return request.param


@torch.no_grad()
def features(model, backbone, batch):
    own, model.backbone = model.backbone, backbone
    try:
        data = model.data_preprocessor(batch)
        return model.extract_video(data['inputs'])
    finally:
        model.backbone = own


@pytest.mark.parametrize('durations, sizes', [
    ((4, 4), ((64, 96), (64, 96))),
    ((5, 3), ((32, 64), (40, 32))),
    ((2, 7), ((80, 33), (40, 90))),
])
def test_a_batch_of_any_shape(export, model, graph, backend, durations, sizes):
    batch = make_batch(durations=durations, sizes=sizes,
                       spans=((0, 1), (0, 1)))
    wanted = features(model, model.backbone, batch)
    found = features(model, GraphBackbone(backend, graph, 1), batch)
    for i, length in enumerate(durations):
        scale = float(wanted.features[i, :length].abs().max())
        torch.testing.assert_close(
            found.features[i, :length], wanted.features[i, :length],
            rtol=1e-4, atol=1e-4 * scale)
    assert not found.features[1, durations[1]:].any()


def test_no_map_is_transposed_for_openvino(model, lifted_graph, backend):
    import onnx
    kinds = [node.op_type for node in onnx.load(lifted_graph).graph.node]
    assert 'Conv' in kinds and 'Transpose' not in kinds
    batch = make_batch(durations=(5, 3), sizes=((32, 64), (40, 32)),
                       spans=((0, 1), (0, 1)))
    wanted = features(model, model.backbone, batch).features
    graph = GraphBackbone(backend, lifted_graph, 1)
    found = features(model, graph, batch).features
    for i, length in enumerate((5, 3)):
        torch.testing.assert_close(
            found[i, :length], wanted[i, :length], rtol=1e-4,
            atol=1e-4 * float(wanted[i, :length].abs().max()))


def test_the_tool_compares_and_writes(export, model, graph, tmp_path, capsys,
                                      monkeypatch):
    from argparse import Namespace
    args = Namespace(out=str(tmp_path / 'b.onnx'), shape=(4, 40, 70),
                     tolerance=1e-4, engine='openvino')
    one = export['export_backbone_file']

    def copied(model, shape, path, engine):
        assert shape == (4, 64, 96) and engine == 'openvino'
        Path(path).write_bytes(Path(graph).read_bytes())

    monkeypatch.setitem(one.__globals__, 'export_backbone', copied)
    one(model, args)
    lines = capsys.readouterr().out.splitlines()
    shapes = ['4 frames of 64 x 96', '7 frames of 96 x 96',
              '2 frames of 96 x 64']
    assert [line.split(':')[0] for line in lines] == [
        f'{name}, {shape}' for name in ('onnxruntime', 'openvino')
        if find_spec(name) for shape in shapes]
    args.out, args.tolerance = str(tmp_path / 'c.onnx'), -1.
    with pytest.raises(SystemExit, match='nothing is written'):
        one(model, args)
    assert [p.name for p in tmp_path.iterdir()] == ['b.onnx']
    args.out = 'x.pt2'
    with pytest.raises(ValueError, match='onnx'):
        one(model, args)


def test_maps_have_the_names_of_the_grounder(export):
    init_default_scope('costa_mm')
    swin = MODELS.build(swin_cfg())

    class TwoMaps(torch.nn.Module):

        def forward(self, x, durations):
            return dict(features=x, motion=swin(x))

    video = torch.randn(1, 3, 2, 32, 32)
    with torch.no_grad():
        assert list(export['named_maps'](TwoMaps(), video)) == [
            'features', 'motion']


def test_eight_bits_are_near(model, graph, backend, tmp_path):
    tool = script('model_converters/quantize_model')
    path = str(tmp_path / 'backbone8.onnx')
    batch = make_batch(durations=(5, 5), sizes=((64, 96), (64, 96)))
    frames = model.data_preprocessor(batch)['inputs'].frames
    videos = [x[None].contiguous().numpy() for x in frames.transpose(1, 2)]
    tool['quantize'](graph, path, iter(videos))
    wanted = features(model, model.backbone, batch).features
    found = features(model, GraphBackbone(backend, path, 1), batch).features
    error = float((found - wanted).norm() / wanted.norm())
    assert 0 < error < 0.2
    import onnx
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert 'DequantizeLinear' in kinds


def test_the_inferencer_takes_a_graph(monkeypatch):
    class Counted(GraphBackbone):
        calls = 0

        def __init__(self, backend, path):
            torch.nn.Module.__init__(self)
            assert (backend, path) == (given, 'x.onnx')

        def forward(self, x, durations=None):
            Counted.calls += 1
            return own(x, durations)

    given = 'openvino'
    plain = STVGInferencer(TINY, device='cpu', show_progress=False)
    own = plain.model.backbone
    monkeypatch.setattr('costa_mm.apis.stvg_inferencer.GraphBackbone', Counted)
    other = STVGInferencer(TINY, device='cpu', show_progress=False,
                           backend=given, graph='x.onnx')
    frames = np.random.default_rng(0).integers(
        256, size=(20, 64, 64, 3), dtype=np.uint8)
    sentences = ['the red ball', 'a square']
    a, b = (i(frames, sentences, fps=5.)['predictions']
            for i in (plain, other))
    assert Counted.calls == 1  # once for both sentences
    for one, two in zip(a, b):
        assert one.span == two.span
        np.testing.assert_allclose(one.boxes, two.boxes, atol=1e-3)


def test_errors(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="'tensorrt' is none of"):
        GraphBackbone('tensorrt', 'x.onnx')
    with pytest.raises(FileNotFoundError, match='--part backbone'):
        GraphBackbone('openvino', str(tmp_path / 'x.onnx'))
    with pytest.raises(ValueError, match='PyTorch runs no graph'):
        STVGInferencer(TINY, graph='x.onnx')
    (tmp_path / 'x.onnx').touch()
    for backend in ('openvino', 'onnxruntime'):
        monkeypatch.setitem(sys.modules, backend, None)
        with pytest.raises(ImportError, match=f'pip install {backend}'):
            GraphBackbone(backend, str(tmp_path / 'x.onnx'))
