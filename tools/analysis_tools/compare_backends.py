# Copyright (c) costa_mm authors. All rights reserved.
"""Accuracy and time of a model behind several engines.

    python tools/analysis_tools/compare_backends.py CONFIG CHECKPOINT \\
        --graph onnxruntime:out.onnx openvino:out.onnx openvino:out8.onnx

Every video of a split goes through all of them in turn, so that a busy
machine slows all alike: PyTorch in float32, in bfloat16, and the backbone's
graphs that are named (``export_model.py --part backbone``,
``quantize_model.py``).  Seconds are medians over videos, of everything after
the decoding of frames.
"""
import argparse
import copy
import os
import sys
import time
from contextlib import nullcontext
from typing import ContextManager, Dict, List, NamedTuple, Optional

import numpy as np
import torch
from benchmarking.machine import Table, describe
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from torch import nn

from costa_mm.apis.backends import GraphBackbone
from costa_mm.cli.running import run_main
from costa_mm.cli.video_options import add_videos, evenly
from costa_mm.engine.checkpoint_io import build_trained, read_checkpoint
from costa_mm.engine.config import load_config
from costa_mm.registry import DATASETS
from costa_mm.utils.configs import first_dataset
from costa_mm.utils.files import write_json


class Way(NamedTuple):
    """A way to predict.

    Attributes:
        backbone (nn.Module): What runs in the backbone's place.
        half (bool): Whether PyTorch's part is in bfloat16.
    """
    backbone: nn.Module
    half: bool = False

    def context(self) -> ContextManager:
        """Around a prediction."""
        return torch.autocast('cpu', torch.bfloat16) if self.half \
            else nullcontext()


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', help='config file')
    add('checkpoint', help='weights')
    add('--graph', nargs='+', default=[], metavar='BACKEND:FILE')
    add_videos(parser, 'test', None)
    add('--metric', nargs='+', default=['m_tIoU', 'm_vIoU', 'vIoU@0.3'])
    add('--json', help='write the figures here as well')
    add('--cfg-options', nargs='+', action=DictAction)
    args = parser.parse_args(argv)
    for graph in args.graph:
        if ':' not in graph:
            parser.error(f'--graph {graph} is not BACKEND:FILE')
    return args


def ways_of(model: nn.Module, graphs: List[str]) -> Dict[str, Way]:
    """All ways, by name; the first is what the others compare with."""
    ways = {'pytorch float32': Way(model.backbone),
            'pytorch bfloat16': Way(model.backbone, half=True)}
    for graph in graphs:
        backend, _, path = graph.partition(':')
        ways[f'{backend} {os.path.basename(path)}'] = Way(
            GraphBackbone(backend, path))
    return ways


@torch.no_grad()
def run(model: nn.Module, ways: Dict[str, Way], dataset, indices,
        evaluators: Dict[str, Evaluator]) -> Dict[str, List[float]]:
    """Predict every video in every way; returns seconds."""
    seconds: Dict[str, List[float]] = {name: [] for name in ways}
    for index in indices:
        batch = pseudo_collate([dataset[int(index)]])
        for name, way in ways.items():
            model.backbone = way.backbone
            own = copy.deepcopy(batch)
            began = time.perf_counter()
            with way.context():
                samples = model.test_step(own)
            seconds[name].append(time.perf_counter() - began)
            evaluators[name].process(data_samples=samples, data_batch=own)
    return seconds


def compare(cfg: Config, model: nn.Module,
            args: argparse.Namespace) -> Dict[str, dict]:
    """Metrics and median seconds of every way."""
    dataset = DATASETS.build(first_dataset(cfg, args.split))
    indices = evenly(len(dataset), args.number)
    ways = ways_of(model, args.graph)
    evaluators = {}
    for name in ways:
        evaluators[name] = Evaluator(copy.deepcopy(cfg.test_evaluator))
        evaluators[name].dataset_meta = dataset.metainfo
    seconds = run(model, ways, dataset, indices, evaluators)
    return {
        name: dict(metrics=evaluators[name].evaluate(len(indices)),
                   seconds=float(np.median(seconds[name])))
        for name in ways
    }


def value_of(metrics: Dict[str, float], name: str) -> float:
    """A metric by its name, whatever its prefix."""
    found = [v for k, v in metrics.items() if k.split('/')[-1] == name]
    return found[0] if found else float('nan')


def main(argv: Optional[List[str]] = None) -> None:
    """Predict, print."""
    args = parse_args(argv)
    cfg = load_config(args.config, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'costa_mm'))
    model = build_trained(cfg.model, read_checkpoint(args.checkpoint),
                          args.checkpoint).eval()
    found = compare(cfg, model, args)
    print(', '.join(f'{k} {v}' for k, v in describe('cpu').items()), '\n')
    table = Table(way=30, **{name: 8 for name in args.metric}, s=7, ratio=6)
    base = found['pytorch float32']['seconds']
    for name, out in found.items():
        values = [f"{value_of(out['metrics'], metric):.4f}"
                  for metric in args.metric]
        table.row(name[:30], *values, f"{out['seconds']:.4f}",
                  f"{out['seconds'] / base:.3f}")
    if args.json:
        write_json(found, args.json, indent=1)


if __name__ == '__main__':
    sys.exit(run_main(main))
