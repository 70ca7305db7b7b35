# Copyright (c) costa_mm authors. All rights reserved.
"""Size and cost of a model, part by part.

State elements are what the papers of this field report as parameters: all
numbers of a checkpoint, statistics of frozen batch norms included.  FLOPs are
multiply-adds of one forward pass over one video, as fvcore and mmengine count
them; a custom or fused operator that they do not know counts 0.
"""
import argparse
import sys
from typing import Dict, List, Tuple

import numpy as np
import torch
from mmengine.config import DictAction
from mmengine.registry import init_default_scope
from torch import nn
from torch.utils._pytree import tree_leaves

from costa_mm.cli.running import run_main
from costa_mm.engine.config import load_config
from costa_mm.models.text_encoders import without_weights
from costa_mm.registry import MODELS
from costa_mm.structures import TubeDataSample

SENTENCE = 'the man in black clothes walks behind the woman and sits down'


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description='Size and cost of a model')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--shape',
        type=int,
        nargs=3,
        default=(64, 448, 448),
        metavar=('T', 'H', 'W'),
        help='frames, height and width of the video')
    parser.add_argument(
        '--no-flops',
        action='store_true',
        help='sizes only: nothing is computed and no memory is needed')
    parser.add_argument(
        '--load-text',
        action='store_true',
        help='load the text encoder as configured; by default one of its '
        'size is made without reading weights or asking a hub')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    return parser.parse_args()


def offline(model: dict) -> dict:
    """The model config with a text encoder that is made, not loaded."""
    try:
        text = without_weights(model['text_encoder'])
    except KeyError as e:
        raise ValueError(f'{e.args[0]}; use --load-text') from e
    return {**model, 'text_encoder': text}


def count(module: nn.Module) -> Tuple[int, int, int]:
    """Elements of the state, parameters, trainable parameters."""
    state = sum(v.numel() for v in module.state_dict().values())
    params = [(p.numel(), p.requires_grad) for p in module.parameters()]
    return (state, sum(n for n, _ in params), sum(n for n, t in params if t))


def cost(module: nn.Module, name: str, flops: Dict[str, float]) -> float:
    """Multiply-adds of a module; a list of layers is never called itself."""
    return flops.get(name) or sum(
        cost(child, f'{name}.{key}', flops)
        for key, child in module.named_children())


def rows(model: nn.Module, flops: Dict[str, float]) -> List[tuple]:
    """One row per part of a stage, what is left of the stage, then all.

    Stages are the model's children that hold numbers, for instance backbone
    and neck; parts are theirs.
    """
    table = []
    for stage, parent in model.named_children():
        if not count(parent)[0]:
            continue
        rest = np.array([*count(parent), cost(parent, stage, flops)], float)
        for key, part in parent.named_children():
            name = f'{stage}.{key}'
            numbers = np.array([*count(part), cost(part, name, flops)], float)
            if numbers.any():
                rest -= numbers
                table.append((name, *numbers))
        table.append((f'{stage}, rest', *rest))
    table.append(('total', *count(model), flops.get('', 0)))
    return table


def measure(model: nn.Module, shape: Tuple[int, int, int]) -> dict:
    """Multiply-adds by module name, of one forward pass."""
    from mmengine.analysis import FlopAnalyzer
    length, height, width = shape
    video = torch.zeros(length, 3, height, width, dtype=torch.uint8)
    sample = TubeDataSample(metainfo=dict(sentence=SENTENCE))
    data = model.data_preprocessor(
        dict(inputs=[video], data_samples=[sample]))
    inputs = data['inputs']

    class Forward(nn.Module):
        """Tensors in, tensors out, as tracing wants it."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, frames, frame_mask, pixel_mask):
            """All raw outputs."""
            batch = inputs._replace(
                frames=frames, frame_mask=frame_mask, pixel_mask=pixel_mask)
            outs = self.model(batch, [sample], mode='tensor')
            return tuple(
                x for x in tree_leaves(outs) if isinstance(x, torch.Tensor))

    analyzer = FlopAnalyzer(Forward(), (
        inputs.frames, inputs.frame_mask, inputs.pixel_mask))
    analyzer.unsupported_ops_warnings(False)
    analyzer.uncalled_modules_warnings(False)
    with torch.no_grad():
        found = analyzer.by_module()
    return {
        name.removeprefix('model').removeprefix('.'): value
        for name, value in found.items() if name.startswith('model')
    }


def main() -> None:
    """Print the table."""
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'costa_mm'))
    config = cfg.model if args.load_text else offline(cfg.model)
    with torch.device('meta' if args.no_flops else 'cpu'):
        model = MODELS.build(config).eval()
    flops = {} if args.no_flops else measure(model, tuple(args.shape))
    print(f'{args.config}, {args.shape[0]} frames of '
          f'{args.shape[1]} x {args.shape[2]}')
    print(f'{"part":26}{"state/M":>10}{"params/M":>10}{"trained/M":>11}'
          f'{"GFLOPs":>10}')
    for name, state, params, trained, cost in rows(model, flops):
        gflops = f'{cost / 1e9:10.3f}' if flops else f'{"-":>10}'
        print(f'{name:26}{state / 1e6:10.3f}{params / 1e6:10.3f}'
              f'{trained / 1e6:11.3f}{gflops}')


if __name__ == '__main__':
    sys.exit(run_main(main))
