# Copyright (c) costa_mm authors. All rights reserved.
import copy
import warnings
from collections import Counter
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from tiny_model import BASE, backbone_cfg, build, spatial_cfg, temporal_cfg
from torch import nn
from torch.testing import assert_close

from costa_mm.models import CollaborativeResNet, NormSumConnection


class Double(nn.Module):
    """Stage l of the toy 3D pathway: repeats channels and adds a number."""

    def __init__(self, repeat, add):
        super().__init__()
        self.repeat, self.add = repeat, add

    def forward(self, x):
        return x.repeat_interleave(self.repeat, 1) + self.add


class ToyTemporal(nn.Module):
    """stem(V) = 2 V; phi_l adds l."""

    with_pool1, with_pool2 = False, False
    conv1_stride_t = pool1_stride_t = 1
    temporal_strides = (1, 1)
    feat_dim = 6
    res_layers = ('layer1', 'layer2')

    def __init__(self):
        super().__init__()
        self.layer1, self.layer2 = Double(1, 1), Double(2, 2)

    def conv1(self, x):
        return 2 * x


class ToySpatial(nn.Module):
    """x_1 = V + 1, x_2 = V repeated, times 10."""

    feat_dim = 6
    res_layers = ('layer1', 'layer2')

    def forward(self, x):
        return x + 1, 10 * x.repeat_interleave(2, 1)


def test_equation_1_stage_by_stage_by_hand():
    model = CollaborativeResNet(
        spatial=ToySpatial(),
        temporal=ToyTemporal(),
        connection=dict(type='costa_mm.HadamardConnection'),
        out_indices=(0, 1))
    video = torch.full((1, 3, 2, 1, 1), 3.)
    y1, y2 = model(video)
    # y_1 = (2 * 3 + 1) * (3 + 1) = 28, y_2 = (28 + 2) * 30
    assert y1.shape == (1, 3, 2, 1, 1) and (y1 == 28).all()
    assert y2.shape == (1, 6, 2, 1, 1) and (y2 == 900).all()


def by_stages(model, video):
    """Eq. (1) written once more, for one video (1, 3, T, H, W)."""
    frames = video[0].transpose(0, 1)
    xs = [x.transpose(0, 1)[None] for x in model.spatial(frames)]
    three = model.temporal
    y = three.maxpool(three.conv1(video))
    ys = []
    for x, layer, join in zip(
            xs, (three.layer1, three.layer2, three.layer3, three.layer4),
            model.connections):
        y = join(layer(y), x)
        ys.append(y)
    return ys


def test_equation_1_with_real_pathways():
    model = build(backbone_cfg(out_indices=(0, 1, 2, 3)))
    video = torch.randn(1, 3, 3, 32, 32)
    with torch.no_grad():
        outs, expected = model(video), by_stages(model, video)
    assert len(outs) == 4
    for i, (out, want) in enumerate(zip(outs, expected)):
        size = 8 // 2**i
        assert out.shape == (1, BASE * 2**i, 3, size, size)
        assert_close(out, want)


@pytest.mark.parametrize('length', [1, 2, 3, 9, 64, 65])
def test_time_is_kept(length):
    model = build(backbone_cfg())
    with torch.no_grad():
        y4, = model(torch.randn(1, 3, length, 32, 32))
    assert y4.shape == (1, 8 * BASE, length, 1, 1)
    assert y4.isfinite().all()


@pytest.mark.parametrize('pathways', ['both', '2D', '3D'])
def test_a_padded_batch_gives_what_each_video_gives_alone(pathways):
    cfg = backbone_cfg()
    if pathways != 'both':
        cfg['temporal' if pathways == '2D' else 'spatial'] = None
    model = build(cfg)
    long, short = torch.randn(3, 16, 32, 32), torch.randn(3, 9, 32, 32)
    batch = torch.stack((long, F.pad(short, (0, 0, 0, 0, 0, 7))))
    with torch.no_grad():
        both, = model(batch, durations=(16, 9))
        one, = model(long[None])
        other, = model(short[None])
    assert_close(both[0], one[0], atol=1e-5, rtol=1e-4)
    assert_close(both[1, :, :9], other[0], atol=1e-5, rtol=1e-4)
    assert (both[1, :, 9:] == 0).all()


def test_videos_come_back_in_their_order():
    model = build(backbone_cfg())
    durations = (2, 4, 2, 3)
    batch = torch.randn(4, 3, 4, 32, 32)
    with torch.no_grad():
        out, = model(batch, durations)
        for i, d in enumerate(durations):
            alone, = model(batch[i:i + 1, :, :d])
            assert_close(out[i:i + 1, :, :d], alone, atol=1e-5, rtol=1e-4)


def test_single_pathways():
    video = torch.randn(1, 3, 2, 32, 32)
    two = build(dict(type='costa_mm.CollaborativeResNet',
                     spatial=spatial_cfg()))
    assert two.connections is None and two.temporal is None
    x4 = two.spatial(video[0].transpose(0, 1))[-1]
    assert_close(two(video)[0][0], x4.transpose(0, 1))
    three = build(
        dict(type='costa_mm.CollaborativeResNet', temporal=temporal_cfg()))
    y = three.temporal(video)
    assert_close(three(video)[0], y[-1] if isinstance(y, tuple) else y)


@pytest.mark.parametrize('kind', ['NormSum', 'Hadamard', 'Concat'])
def test_connections_by_config(kind):
    model = build(
        backbone_cfg(connection=dict(type=f'costa_mm.{kind}Connection')))
    assert len(model.connections) == 4
    assert model(torch.randn(1, 3, 2, 32, 32))[0].shape == (1, 32, 2, 1, 1)


def test_default_connection_is_the_normalised_sum():
    model = build(backbone_cfg())
    assert all(isinstance(c, NormSumConnection) for c in model.connections)


def test_images_are_videos_of_one_frame():
    model = build(backbone_cfg(single_output=True))
    image = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        out = model(image)
        assert out.shape == (2, 32, 1, 1)
        assert_close(out, model(image[:, :, None])[:, :, 0])


def test_frame_chunks_change_nothing():
    model = build(backbone_cfg())
    video = torch.randn(2, 3, 5, 32, 32)
    with torch.no_grad():
        whole, = model(video)
        model.frame_chunk = 3
        assert_close(model(video)[0], whole, atol=1e-5, rtol=1e-4)


def test_frozen_norms_stay_frozen_in_training():
    cfg = backbone_cfg()
    for part, kind in (('spatial', 'BN'), ('temporal', 'BN3d')):
        cfg[part]['norm_cfg'] = dict(type=kind, requires_grad=False)
        cfg[part]['norm_eval'] = True
    model = build(cfg).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model(torch.randn(1, 3, 2, 32, 32))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    norms = [
        m for m in model.modules()
        if isinstance(m, (nn.BatchNorm2d, nn.BatchNorm3d))
    ]
    assert norms and not any(p.requires_grad for m in norms
                             for p in m.parameters())


def frozen_cfg(**kwargs):
    """Both kinds of blocks; frozen norms with statistics that matter."""
    cfg = backbone_cfg(**kwargs)
    cfg['spatial'].update(
        depth=50, norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True, frozen_stages=1, zero_init_residual=False)
    cfg['temporal'].update(
        depth=50, norm_cfg=dict(type='BN3d', requires_grad=False),
        norm_eval=True, frozen_stages=1)
    return cfg


def build_frozen(**kwargs):
    model = build(frozen_cfg(**kwargs))
    rng = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            for name, low in (('running_mean', -.3), ('running_var', .5),
                              ('weight', .5), ('bias', -.5)):
                tensor = getattr(module, name).data
                tensor.copy_(torch.rand(tensor.shape, generator=rng) + low)
    return model.train()


def gradients(model, video, **kwargs):
    model.zero_grad(set_to_none=True)
    with torch.autocast('cpu', enabled=False):
        out, = model(video, **kwargs)
    out.square().mean().backward()
    return out.detach(), {
        n: p.grad for n, p in model.named_parameters() if p.requires_grad
    }


WITH_CP = dict(
    spatial=frozen_cfg()['spatial'] | dict(with_cp=True),
    temporal=frozen_cfg()['temporal'] | dict(with_cp=True))


@pytest.mark.parametrize('options', [
    dict(efficient_conv_bn_eval=True),
    dict(channels_last=True),
    dict(frame_chunk=2),
    WITH_CP,
    WITH_CP | dict(efficient_conv_bn_eval=True, channels_last=True,
                   frame_chunk=2),
], ids=['folded', 'channels_last', 'chunks', 'checkpointed', 'all'])
def test_memory_options_give_equal_gradients(options):
    video = torch.randn(2, 3, 3, 32, 32)
    plain, lean = build_frozen(), build_frozen()
    if options is not WITH_CP and 'spatial' not in options:
        lean = build_frozen(**options)
    else:
        cfg = frozen_cfg()
        cfg.update(options)
        lean = build(cfg)
        lean.train()
    lean.load_state_dict(plain.state_dict())
    want, want_grads = gradients(plain, video, durations=(3, 2))
    got, grads = gradients(lean, video, durations=(3, 2))
    assert_close(got, want, atol=1e-4, rtol=1e-4)
    assert grads.keys() == want_grads.keys() and len(grads) > 60
    for name, grad in want_grads.items():
        scale = max(float(grad.abs().max()), 1e-6)
        assert_close(grads[name], grad, atol=2e-4 * scale, rtol=1e-3,
                     msg=lambda text, name=name: f'{name}: {text}')


def test_all_frozen_norms_are_folded():
    model = build_frozen(efficient_conv_bn_eval=True)
    calls = []
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            assert 'Folded' in type(module).__name__
    for name in ('batch_norm', 'native_batch_norm'):
        assert hasattr(torch, name)
    with mock.patch.object(F, 'batch_norm', side_effect=calls.append):
        model(torch.randn(1, 3, 2, 32, 32))
    assert calls == []
    assert copy.deepcopy(model).state_dict().keys() == \
        build_frozen().state_dict().keys()
    other = copy.deepcopy(model)
    conv = other.spatial.layer1[0].conv1
    assert conv.norm_behind[0] is other.spatial.layer1[0]


def test_folded_norms_in_training_mode_use_batch_statistics():
    plain = build(frozen_cfg())
    folded = build(frozen_cfg(efficient_conv_bn_eval=True))
    folded.load_state_dict(plain.state_dict())
    video = torch.randn(2, 3, 2, 32, 32)
    for model in (plain, folded):
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
                module.train()
    assert_close(folded(video)[0], plain(video)[0], atol=1e-4, rtol=1e-4)
    assert_close(folded.spatial.bn1.running_mean,
                 plain.spatial.bn1.running_mean)
    assert plain.spatial.bn1.running_mean.abs().max() > 0


@pytest.mark.parametrize('channels_last', [True, False])
def test_channels_last_from_end_to_end(channels_last):
    model = build_frozen(channels_last=channels_last)
    two, three = [], []

    def note(layouts):
        return lambda module, args: layouts.append(
            args[0].is_contiguous(memory_format=torch.channels_last_3d))

    # what the 2D pathway gives to the connections, and they to the 3D stages
    for connection in model.connections:
        connection.norm_2d.register_forward_pre_hook(note(two))
    for name in model.temporal.res_layers[1:]:
        getattr(model.temporal, name).register_forward_pre_hook(note(three))
    out, = model(torch.randn(1, 3, 3, 64, 64))
    assert two == 4 * [channels_last]
    assert three == 3 * [True]
    assert out.is_contiguous(memory_format=torch.channels_last_3d)


def test_narrow_pathways_keep_their_layout():
    """Where the backward pass of oneDNN would write past its workspace."""
    # 4 channels into a strided 1x1
    model = build(backbone_cfg(channels_last=True))
    assert model._layouts == dict(spatial=None, temporal=None)
    wide = build(frozen_cfg(channels_last=True))
    assert wide._layouts['spatial'] == torch.channels_last
    assert wide.spatial.conv1.weight.is_contiguous(
        memory_format=torch.channels_last)
    assert not model.spatial.conv1.weight.is_contiguous(
        memory_format=torch.channels_last)


def test_blocks_are_computed_again_and_nobody_warns():
    model = build_frozen(**WITH_CP)
    count = Counter()
    for name, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)):
            module.register_forward_hook(
                lambda *args, name=name: count.update([name]))
    video = torch.randn(1, 3, 2, 32, 32)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        out, = model(video)
        out.mean().backward()
    twice = {name for name, calls in count.items() if calls == 2}
    assert twice == {
        name for name in count
        if not name.startswith(('spatial.conv1', 'spatial.layer1',
                                'temporal.conv1', 'temporal.layer1'))}
    count.clear()
    with torch.no_grad():
        model(video)
    assert set(count.values()) == {1}


def saved_by(module, *args):
    """Bytes that autograd keeps of a call, weights and buffers left out."""
    own = {t.untyped_storage().data_ptr()
           for t in (*module.parameters(), *module.buffers())}
    sizes = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes(), tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        out = module(*args)
    return sum(size for size, _ in sizes.values()), out


@pytest.mark.parametrize('folded', [True, False])
def test_frozen_parts_keep_no_activations(folded):
    model = build_frozen(efficient_conv_bn_eval=folded)
    frames = torch.randn(2, 3, 64, 64)
    kept, first = saved_by(
        nn.Sequential(model.spatial.conv1, model.spatial.bn1,
                      model.spatial.relu, model.spatial.maxpool,
                      model.spatial.layer1), frames)
    assert kept == 0 and not first.requires_grad
    kept, first = saved_by(
        nn.Sequential(model.temporal.conv1, model.temporal.layer1),
        frames.unsqueeze(2))
    assert kept == 0 and not first.requires_grad
    kept, out = saved_by(model, frames.unsqueeze(2))
    assert kept > 0 and out[0].requires_grad
    model.requires_grad_(False)
    assert saved_by(model, frames.unsqueeze(2))[0] == 0


def test_folded_norms_keep_nothing_of_their_own():
    """A frozen norm that trains its affine part would keep its input."""
    kept = {}
    for folded in (False, True):
        model = build_frozen(efficient_conv_bn_eval=folded)
        for norm in model.spatial.layer4.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.requires_grad_(True)
        stage = model.spatial.layer4
        x = torch.randn(2, stage[0].conv1.in_channels, 64, 64)
        kept[folded], out = saved_by(stage, x)
        assert out.requires_grad
    assert kept[True] < 0.8 * kept[False]


def test_mixed_precision_keeps_maps_in_16_bits():
    connection = NormSumConnection(channels=8)
    one, two = torch.randn(2, 1, 8, 3, 4, 4).unbind()
    want = connection(one, two)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = connection(one.bfloat16(), two.bfloat16())
    assert out.dtype == torch.bfloat16
    assert_close(out.float(), want, atol=0.06, rtol=0.02)


@pytest.mark.parametrize('change,match', [
    (dict(spatial=None, temporal=None), 'needs a spatial'),
    (dict(temporal=temporal_cfg() | dict(with_pool2=True)), 'shortens time'),
    (dict(temporal=temporal_cfg() | dict(temporal_strides=(1, 2, 1, 1))),
     'shortens time'),
    (dict(temporal=temporal_cfg() | dict(conv1_stride_t=2)), 'shortens time'),
    (dict(temporal=temporal_cfg() | dict(pool1_stride_t=2)), 'shortens time'),
    (dict(temporal=temporal_cfg() | dict(base_channels=8)), 'differ'),
    (dict(single_output=True, out_indices=(2, 3)), 'exactly one'),
    (dict(out_indices=(3, 0)), r'out_indices \(3, 0\) must be stages from 0'),
    (dict(out_indices=(-1, )), 'must be stages from 0 to 3'),
    (dict(out_indices=(2, 2)), 'rising order'),
    (dict(out_indices=(4, ), temporal=None), 'must be stages from 0 to 3'),
    (dict(out_indices=()), 'must be stages'),
    (dict(spatial=spatial_cfg() | dict(out_indices=(1, 2, 3))),
     r'2D pathway has out_indices=\(1, 2, 3\), but all'),
])
def test_wrong_configs_raise(change, match):
    with pytest.raises(ValueError, match=match):
        build(backbone_cfg() | change)
