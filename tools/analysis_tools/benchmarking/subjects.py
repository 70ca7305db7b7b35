# Copyright (c) costa_mm authors. All rights reserved.
"""What is measured: a model in a mode, at a size, doing a task."""
import copy
from contextlib import nullcontext
from typing import Callable, NamedTuple, Tuple

import numpy as np
import torch
from get_flops import SENTENCE, offline
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch import nn

from costa_mm.engine.averaging import TrainableEMA
from costa_mm.registry import MODELS
from costa_mm.structures import Tube, TubeDataSample
from .machine import set_precision
from .published import run_as_published

PRECISIONS = ('fp32', 'tf32', 'bf16')
OPTIONS = ('cp', 'compile', 'published', 'plain')
TASKS = ('predict', 'train', 'backbone')


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
    def options(self) -> Tuple[str, ...]:
        """Other parts of the mode."""
        return tuple(self.mode.split('+')[1:])

    def check(self) -> 'Spec':
        """Itself, if it makes sense.

        Raises:
            ValueError: For an unknown mode or task.
        """
        if self.precision not in PRECISIONS:
            raise ValueError(f'mode {self.mode!r} begins with none of '
                             f'{PRECISIONS}')
        for option in self.options:
            chunk = option.removeprefix('chunk')
            if option not in OPTIONS and not (chunk.isdigit()
                                              and int(chunk) > 0):
                raise ValueError(f'mode {self.mode!r}: {option!r} is none of '
                                 f"{OPTIONS} or 'chunkN'")
        if self.task not in TASKS:
            raise ValueError(f'task {self.task!r} is none of {TASKS}')
        return self


class Subject(NamedTuple):
    """A model that is ready to do its task.

    Attributes:
        model (nn.Module): The model.
        run (Callable): Does the task once and returns what can be compared.
        hooks (list): Pairs of an object and the name of its method that is a
            part of its own: backward pass, optimizer, average.
        owners (tuple): Modules and optimizers that hold tensors.
    """
    model: nn.Module
    run: Callable
    hooks: list
    owners: tuple


def read_config(spec: Spec) -> Config:
    """The config with the options of the mode."""
    cfg = Config.fromfile(spec.config)
    init_default_scope(cfg.get('default_scope', 'costa_mm'))
    model = copy.deepcopy(cfg.model)
    text = model['text_encoder']
    if text.get('pretrained', True) and \
            text.get('model_name', 'roberta-base') == 'roberta-base':
        model = offline(model)
    lean = not {'plain', 'published'} & set(spec.options)
    backbone = model['backbone']
    backbone.update(efficient_conv_bn_eval=lean, channels_last=lean)
    for option in spec.options:
        if option.startswith('chunk'):
            backbone['frame_chunk'] = int(option[len('chunk'):])
    if 'cp' in spec.options:
        for pathway in ('spatial', 'temporal'):
            if backbone.get(pathway):
                backbone[pathway]['with_cp'] = True
        model['neck']['with_cp'] = True
    if 'compile' in spec.options:
        model['compile_cfg'] = dict()
    # T is the number of frames that the model sees at once
    model['test_cfg'] = {**(model.get('test_cfg') or {}), 'two_pass': False}
    cfg.model = model
    return cfg


def make_subject(spec: Spec, seed: int = 0) -> Subject:
    """Build a model with random weights and its task."""
    set_precision(spec.precision)
    # init_weights tells of every parameter
    MMLogger.get_instance('benchmark', log_level='ERROR')
    cfg = read_config(spec)
    torch.manual_seed(seed)
    model = MODELS.build(cfg.model)
    model.init_weights()
    shake_norms(model)
    if 'published' in spec.options:
        run_as_published(model)
    model.to(spec.device)
    if spec.task == 'train':
        return _trainer(spec, cfg, model)
    return _predictor(spec, model)


def shake_norms(model: nn.Module) -> None:
    """Statistics as if pretrained: identity norms would hide mistakes."""
    rng = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            for name, low, high in (('running_mean', -.1, .1),
                                    ('running_var', .8, 1.2),
                                    ('weight', .4, .6), ('bias', -.1, .1)):
                tensor = getattr(module, name).data
                tensor.copy_(
                    torch.rand(tensor.shape, generator=rng) * (high - low) +
                    low)


def autocast(spec: Spec):
    """The context of its precision."""
    if spec.precision != 'bf16':
        return nullcontext()
    return torch.autocast(torch.device(spec.device).type, torch.bfloat16)


def _predictor(spec: Spec, model: nn.Module) -> Subject:
    model.eval()
    batch = make_batch(spec)

    @torch.no_grad()
    def predict() -> torch.Tensor:
        with autocast(spec):
            samples = model.test_step(copy.deepcopy(batch))
        return torch.from_numpy(np.stack([s.pred_boxes for s in samples]))

    @torch.no_grad()
    def backbone() -> torch.Tensor:
        data = model.data_preprocessor(batch)
        with autocast(spec):
            return model.extract_video(data['inputs']).features.float()

    run = predict if spec.task == 'predict' else backbone
    return Subject(model, run, [], (model, ))


def _trainer(spec: Spec, cfg: Config, model: nn.Module) -> Subject:
    from mmengine.optim import build_optim_wrapper
    wrapper_cfg = copy.deepcopy(cfg.optim_wrapper)
    wrapper_cfg.pop('accumulative_counts', None)
    if 'published' in spec.options:  # one parameter after the other
        wrapper_cfg['optimizer'].pop('fused', None)
    if spec.precision == 'bf16':
        wrapper_cfg.update(type='STVGAmpOptimWrapper', dtype='bfloat16')
    model.train()
    wrapper = build_optim_wrapper(model, wrapper_cfg)
    average = TrainableEMA(model)
    batch = make_batch(spec)

    def step() -> torch.Tensor:
        log = model.train_step(copy.deepcopy(batch), wrapper)
        average.update_parameters(model)
        return log['loss'].detach().float().cpu()

    return Subject(model, step, [(wrapper, 'backward'), (wrapper, 'step'),
                                 (average, 'update_parameters')],
                   (model, average, wrapper.optimizer))


def make_batch(spec: Spec, seed: int = 0) -> dict:
    """Random videos with an event in their middle third."""
    rng = torch.Generator().manual_seed(seed)
    length, (height, width) = spec.frames, spec.size
    videos, samples = [], []
    for i in range(spec.batch):
        videos.append(
            torch.randint(
                0, 256, (length, 3, height, width), generator=rng,
                dtype=torch.uint8).to(spec.device))
        samples.append(make_sample(i, length, height, width))
    return dict(inputs=videos, data_samples=samples)


def make_sample(index: int, length: int, height: int,
                width: int) -> TubeDataSample:
    """A sample with a sentence, a span and boxes."""
    first, last = length // 3, max(length // 3, 2 * length // 3 - 1)
    sample = TubeDataSample(
        metainfo=dict(
            sample_id=f'{index}', video_id=f'{index}', video_path='none',
            num_frames=2 * length, fps=6.4, ori_shape=(height, width),
            img_shape=(height, width), frame_ids=2 * np.arange(length),
            sentence=SENTENCE, qtype=None, draw=0.25))
    box = torch.tensor([.3 * width, .3 * height, .6 * width, .8 * height])
    sample.gt_boxes = torch.zeros(length, 4)
    sample.gt_box_mask = torch.zeros(length, dtype=torch.bool)
    sample.gt_boxes[first:last + 1] = box
    sample.gt_box_mask[first:last + 1] = True
    sample.gt_span = torch.tensor([first, last])
    sample.gt_tube = Tube(span=(2 * first, 2 * last + 1))
    return sample
