# Copyright (c) costa_mm authors. All rights reserved.
"""What is measured: a model in a mode, at a size, doing a task."""
import copy
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ContextManager, Dict, List, NamedTuple, Tuple

import numpy as np
import torch
from get_flops import SENTENCE, offline
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from costa_mm.engine.averaging import TrainableEMA
from costa_mm.models.layers.attention import (ConcatCrossAttention,
                                              MultiheadAttention)
from costa_mm.models.text_encoders.hf_loading import HUB_CONFIGS
from costa_mm.registry import MODELS
from costa_mm.structures import Tube, TubeDataSample
from .machine import set_precision


class Spec(NamedTuple):
    """One measurement.

    Attributes:
        config (str): Config file.
        mode (str): Precision and options, joined by '+': 'fp32', 'tf32' or
            'bf16'; 'cp' checkpoints activations of backbones and neck,
            'compile' compiles backbone and decoders, 'chunkN' sends N frames
            at a time through the 2D backbone, 'plain' leaves out folded norms
            and channels-last maps, 'published' runs the published way.
        task (str): 'predict', 'train' or 'backbone' (its forward pass).
        frames (int): T.
        size (tuple[int, int]): Height and width.
        batch (int): Videos.
        device (str): 'cpu', 'cuda', ...
    """
    config: str
    mode: str
    task: str
    frames: int
    size: Tuple[int, int]
    batch: int
    device: str

    @property
    def precision(self) -> str:
        """First part of the mode."""
        return self.mode.split('+')[0]

    @property
    def options(self) -> List[str]:
        """Other parts of the mode."""
        return self.mode.split('+')[1:]

    @property
    def cells(self) -> tuple:
        """What identifies it in a table: 'costa_hcstvg', 'train', 64, ..."""
        return (Path(self.config).stem, self.task, self.frames,
                'x'.join(map(str, self.size)), self.batch, self.mode)

    @property
    def key(self) -> str:
        """What identifies it in a file of figures."""
        return ' '.join((self.config, self.mode, *map(str, self.cells[1:5]),
                         self.device))


def read_config(spec: Spec) -> Config:
    """The config with the options of the mode."""
    cfg = Config.fromfile(spec.config)
    init_default_scope(cfg.get('default_scope', 'costa_mm'))
    text, backbone = cfg.model['text_encoder'], cfg.model['backbone']
    if text.get('pretrained', True) and \
            text.get('model_name', 'roberta-base') in HUB_CONFIGS:
        cfg.model = offline(cfg.model)
        backbone = cfg.model['backbone']
    lean = not {'plain', 'published'} & set(spec.options)
    backbone.update(efficient_conv_bn_eval=lean, channels_last=lean)
    for option in spec.options:
        if option.startswith('chunk'):
            backbone['frame_chunk'] = int(option.removeprefix('chunk'))
    if 'cp' in spec.options:
        cfg.model['with_cp'] = True
    if 'compile' in spec.options:
        cfg.model['compile_cfg'] = dict()
    # T is the number of frames that the model sees at once
    cfg.merge_from_dict({'model.test_cfg.two_pass': False})
    if spec.task == 'train':
        cfg.optim_wrapper.pop('accumulative_counts', None)
        if 'published' in spec.options:  # one parameter after the other
            cfg.optim_wrapper.optimizer.pop('fused', None)
        # the mode decides, also where the config trains in 16 bits
        for option in ('dtype', 'loss_scale'):
            cfg.optim_wrapper.pop(option, None)
        if spec.precision == 'bf16':
            cfg.optim_wrapper.update(
                type='STVGAmpOptimWrapper', dtype='bfloat16')
        else:
            cfg.optim_wrapper.type = 'OptimWrapper'
    return cfg


class Subject:
    """A model with random weights that is ready to do its task.

    Args:
        spec (Spec): What is measured.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        # init_weights tells of every parameter
        MMLogger.get_instance('benchmark', log_level='ERROR')
        cfg = read_config(spec)
        torch.manual_seed(0)
        self.model = MODELS.build(cfg.model)
        self.model.init_weights()
        shake_norms(self.model)
        if 'published' in spec.options:
            run_as_published(self.model)
        self.model.to(spec.device).train(spec.task == 'train')
        self.batch = make_batch(spec)
        self.parts: Dict[str, Any] = {}  # owners of methods that take time
        if spec.task == 'train':
            self.wrapper = build_optim_wrapper(self.model, cfg.optim_wrapper)
            self.average = TrainableEMA(self.model)
            self.parts = dict(backward=self.wrapper, step=self.wrapper,
                              update_parameters=self.average)

    def run(self) -> Tensor:
        """Do the task once; returns what can be compared."""
        # of the whole process, in which subjects of others may run in turn
        set_precision(self.spec.precision)
        return getattr(self, self.spec.task)()

    def train(self) -> Tensor:
        """A step; the loss."""
        log = self.model.train_step(copy.deepcopy(self.batch), self.wrapper)
        self.average.update_parameters(self.model)
        return log['loss'].detach().float().cpu()

    @torch.no_grad()
    def predict(self) -> Tensor:
        """The boxes."""
        with autocast(self.spec):
            samples = self.model.test_step(copy.deepcopy(self.batch))
        return torch.from_numpy(np.stack([s.pred_boxes for s in samples]))

    @torch.no_grad()
    def backbone(self) -> Tensor:
        """The features of the frames."""
        data = self.model.data_preprocessor(self.batch)
        with autocast(self.spec):
            return self.model.extract_video(data['inputs']).features.float()

    def state(self) -> list:
        """Weights, gradients, buffers, averages, states of the optimizer."""
        found = state_of(self.model)
        if self.parts:
            found += [*state_of(self.average), self.wrapper.optimizer.state]
        return found


def state_of(model: nn.Module) -> list:
    """Weights, gradients and buffers of a module."""
    params = list(model.parameters())
    return [*params, *(p.grad for p in params), *model.buffers()]


def autocast(spec: Spec) -> ContextManager:
    """The context of its precision."""
    if spec.precision != 'bf16':
        return nullcontext()
    return torch.autocast(torch.device(spec.device).type, torch.bfloat16)


def shake_norms(model: nn.Module) -> None:
    """Statistics as if pretrained: identity norms would hide mistakes."""
    rng = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            for name, low, high in (('running_mean', -.1, .1),
                                    ('running_var', .8, 1.2),
                                    ('weight', .4, .6), ('bias', -.1, .1)):
                value = torch.rand(module.num_features, generator=rng)
                getattr(module, name).data.copy_(value * (high - low) + low)


def make_batch(spec: Spec) -> dict:
    """Random videos with an event in their middle third."""
    rng = torch.Generator().manual_seed(0)
    length, (height, width) = spec.frames, spec.size
    first, last = length // 3, max(length // 3, 2 * length // 3 - 1)
    sample = TubeDataSample(
        metainfo=dict(
            sample_id='0', video_id='0', video_path='none', qtype=None,
            num_frames=2 * length, fps=6.4, ori_shape=spec.size,
            img_shape=spec.size, frame_ids=2 * np.arange(length),
            sentence=SENTENCE, draw=0.25))
    sample.gt_box_mask = torch.zeros(length, dtype=torch.bool)
    sample.gt_box_mask[first:last + 1] = True
    box = torch.tensor([.3 * width, .3 * height, .6 * width, .8 * height])
    sample.gt_boxes = sample.gt_box_mask[:, None] * box
    sample.gt_span = torch.tensor([first, last])
    sample.gt_tube = Tube(span=(2 * first, 2 * last + 1))
    videos = [
        torch.randint(0, 256, (length, 3, height, width), generator=rng,
                      dtype=torch.uint8).to(spec.device)
        for _ in range(spec.batch)
    ]
    return dict(inputs=videos, data_samples=[sample.clone() for _ in videos])


class _FrozenNorm:
    """DETR's frozen batch norm: two elementwise passes over every map."""

    def forward(self, x: Tensor) -> Tensor:
        shape = (1, -1) + (1, ) * (x.dim() - 2)
        weight, bias = self.weight.reshape(shape), self.bias.reshape(shape)
        mean = self.running_mean.reshape(shape)
        scale = weight * (self.running_var.reshape(shape) + self.eps).rsqrt()
        return x * scale + (bias - mean * scale)


class _WithWeights:
    """Attention that makes its weights, whether or not anybody reads them."""

    def forward(self, query, key, value, key_mask=None, need_weights=False):
        return super().forward(query, key, value, key_mask, True)


PUBLISHED = {
    kind: type(f'Published{kind.__name__}', (published, kind), {})
    for kind, published in ((nn.BatchNorm2d, _FrozenNorm),
                            (nn.BatchNorm3d, _FrozenNorm),
                            (MultiheadAttention, _WithWeights),
                            (ConcatCrossAttention, _WithWeights))
}


def run_as_published(model: nn.Module) -> None:
    """Change a model to the way that STCAT, TubeDETR and their kin run it.

    Layers and weights stay those of the model, so outputs are equal up to
    rounding; contiguous maps and one batch of all frames are the config's.

    Raises:
        ValueError: If a norm is not frozen or has been folded.
    """
    for name, module in model.named_modules():
        kind = PUBLISHED.get(type(module))
        if kind is not None:
            module.__class__ = kind
        frozen = not any(p.requires_grad for p in module.parameters())
        if isinstance(module, _BatchNorm) and (kind is None or not frozen):
            raise ValueError(f'{name} ({type(module).__name__}) is no frozen '
                             'batch norm as published')
