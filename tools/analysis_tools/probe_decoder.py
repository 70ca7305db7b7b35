# Copyright (c) costa_mm authors. All rights reserved.
"""What a trained decoder makes of what it is told.

Scores of a split with the labels that the spatial decoder is told (Eq. 3)
replaced, after every layer, with anchors only and with the spatial decoder
seeing one frame at a time; and how much of every layer's attention falls on
the target:

    python tools/analysis_tools/probe_decoder.py CONFIG CHECKPOINT

How to read it: docs/en/decoder_study.md.
"""
import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from torch import Tensor, nn
from tqdm import tqdm

from costa_mm.cli.running import run_main
from costa_mm.engine import build_trained, read_checkpoint
from costa_mm.engine.config import read_config
from costa_mm.engine.options import OptionsAction
from costa_mm.evaluation import STVGMetric
from costa_mm.registry import DATASETS
from costa_mm.structures import TubeDataSample, VisualFeatures
from costa_mm.utils.configs import dataset_of
from costa_mm.utils.files import check_output, write_json

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from decoder_study.probes import attention_mass, probes_of  # noqa: E402
from synthetic_benchmark.tables import table  # noqa: E402

SHOWN = ('m_tIoU', 'm_vIoU', 'vIoU@0.5', 'm_sIoU', 'jump_rate')

#: Videos encoded once, and their samples.
Encoded = Tuple[Tuple[VisualFeatures, ...], List[TubeDataSample]]


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description='Scores of a checkpoint with parts of its decoder told '
        'something else')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--split', default='test', choices=('val', 'test'),
        help='which dataloader of the config gives the videos')
    parser.add_argument('--batch-size', type=int, default=20)
    parser.add_argument(
        '--num-samples', type=int, help='only the first so many')
    parser.add_argument('--out', metavar='JSON', help='write the figures')
    parser.add_argument('--device', help="'cpu', 'cuda:0', ... (default: "
                        'what is there)')
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction)
    args = parser.parse_args()
    if args.batch_size < 1:
        parser.error('--batch-size must be positive')
    return args


def build_model(cfg: Config, path: str, device: str) -> nn.Module:
    """The trained model, which looks at a video as a whole."""
    model = build_trained(cfg.model, read_checkpoint(path), path)
    model.test_cfg = replace(model.test_cfg, two_pass=False, window=None)
    return model.to(device).eval()


def encode(model: nn.Module, cfg: Config,
           args: argparse.Namespace) -> Iterator[Encoded]:
    """Batches of a split, through the backbone."""
    dataset = DATASETS.build(
        dict(dataset_of(cfg, args.split), on_error='raise'))
    total = min(args.num_samples or len(dataset), len(dataset))
    for first in tqdm(range(0, total, args.batch_size), 'probing'):
        items = [dataset[i]
                 for i in range(first, min(first + args.batch_size, total))]
        data = model.data_preprocessor(pseudo_collate(items), False)
        yield model.encode_video(data['inputs']), data['data_samples']


@torch.no_grad()
def probe(model: nn.Module, batches: Iterator[Encoded]
          ) -> Tuple[Dict[str, Dict[str, float]], List[Tensor]]:
    """Metrics by probe, and attention on the target by batch."""
    metrics: Dict[str, STVGMetric] = {}
    masses, total = [], 0
    for visual, samples in batches:
        total += len(samples)
        text = model.encode_queries([s.metainfo for s in samples])
        memory = model.neck(visual[0], text)
        targets = model.head.get_targets(samples, memory.frame_mask)
        model.head.need_attention = True
        outs = model.head(memory)
        model.head.need_attention = False
        mass = attention_mass(outs, targets)
        masses += [] if mass is None else [mass]
        for one in probes_of(model.head, len(outs.boxes)):
            metric = metrics.setdefault(one.name,
                                        STVGMetric(per_factor=False))
            with one.on(model.head, targets):
                metric.process({}, model.predict_encoded(visual, samples))
    return {
        name: {
            k.split('/', 1)[1]: v
            for k, v in metric.evaluate(total).items()
        }
        for name, metric in metrics.items()
    }, masses


def print_tables(scores: Dict[str, Dict[str, float]],
                 mass: List[float]) -> None:
    """Both tables, as Markdown."""
    print(table([('', *SHOWN)] + [
        (name, *(f'{row[k]:.3f}' if k in row else '-' for k in SHOWN))
        for name, row in scores.items()
    ]))
    if mass:
        print('\nattention on the target\'s cells: ' + ', '.join(
            f'layer {k + 1} {m:.3f}' for k, m in enumerate(mass[:-1])) +
              f'; uniform attention {mass[-1]:.3f}')


def main() -> None:
    """Probe, tell, write."""
    args = parse_args()
    if args.out:
        check_output('--out', args.out)
    cfg = read_config(args.config, options=args.cfg_options)
    init_default_scope(cfg.default_scope)
    device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    model = build_model(cfg, args.checkpoint, device)
    scores, masses = probe(model, encode(model, cfg, args))
    mass = torch.cat(masses, 1).mean(1).tolist() if masses else []
    print_tables(scores, mass)
    if args.out:
        write_json(dict(scores=scores, attention_mass=mass), args.out,
                   indent=1)


if __name__ == '__main__':
    sys.exit(run_main(main))
