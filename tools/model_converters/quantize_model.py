# Copyright (c) costa_mm authors. All rights reserved.
"""Round an exported backbone to 8 bits.

    python tools/model_converters/export_model.py CONFIG CHECKPOINT out.onnx \\
        --part backbone --shape 16 64 64
    python tools/model_converters/quantize_model.py CONFIG out.onnx out8.onnx

Post-training quantisation of ONNX Runtime: weights of the convolutions by
channel, their inputs by the least and greatest values that some videos of the
config's training or validation split give.  Everything else stays float32.
ONNX Runtime and OpenVINO run the file; ``compare_backends.py`` says what it
costs in accuracy.
"""
import argparse
import os
import sys
import tempfile
from typing import Dict, Iterator, List, Optional

import numpy as np
from mmengine.config import Config, DictAction
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope

from costa_mm.cli.running import run_main
from costa_mm.cli.video_options import add_videos, evenly
from costa_mm.engine.config import load_config
from costa_mm.registry import DATASETS, MODELS
from costa_mm.utils.configs import first_dataset
from costa_mm.utils.files import atomic_path


def parse_args(argv: Optional[List[str]] = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', help='config file')
    add('graph', help='backbone, ONNX')
    add('out', help='file to write, .onnx')
    add_videos(parser, 'val', 32)
    add('--weight-bits', type=int, choices=(7, 8), default=7,
        help='8 is more exact, but only on processors that add up products '
        'of 8 bits without overflow (VNNI, AMX); others clip sums silently '
        'in ONNX Runtime')
    add('--cfg-options', nargs='+', action=DictAction)
    return parser.parse_args(argv)


def videos(cfg: Config, split: str, number: int) -> Iterator[np.ndarray]:
    """Normalised videos (1, 3, T, H, W), evenly from a split."""
    dataset = DATASETS.build(first_dataset(cfg, split))
    preprocessor = MODELS.build(cfg.model.data_preprocessor)
    for index in evenly(len(dataset), number):
        batch = pseudo_collate([dataset[int(index)]])
        frames = preprocessor(batch)['inputs'].frames
        yield frames.transpose(1, 2).contiguous().numpy()


class Reader:
    """What ONNX Runtime asks for data.

    Args:
        name (str): Input of the graph.
        found (Iterator[np.ndarray]): From :func:`videos`.
    """

    def __init__(self, name: str, found: Iterator[np.ndarray]) -> None:
        self.name = name
        self.found = found

    def get_next(self) -> Optional[Dict[str, np.ndarray]]:
        """The next video; None after the last."""
        video = next(self.found, None)
        return None if video is None else {self.name: video}


def fold_constants(path: str, out: str) -> str:
    """Compute what does not depend on the video; returns the input's name.

    A folded norm makes the weights of its convolution in the graph, where the
    quantiser would not find them.
    """
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = \
        onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = out
    session = onnxruntime.InferenceSession(
        path, options, providers=['CPUExecutionProvider'])
    return session.get_inputs()[0].name


def quantize(path: str, out: str, found: Iterator[np.ndarray],
             weight_bits: int = 7) -> None:
    """Write the graph with convolutions of 8 bits.

    Args:
        path (str): The graph.
        out (str): File to write.
        found (Iterator[np.ndarray]): From :func:`videos`.
        weight_bits (int): With 7, sums of two products fit 16 bits, into
            which AVX2 without VNNI adds them.

    Raises:
        ImportError: If onnx or ONNX Runtime is not installed.
    """
    from onnxruntime.quantization import (QuantFormat, QuantType,
                                          quantize_static)
    with tempfile.TemporaryDirectory() as folder:
        folded = os.path.join(folder, 'folded.onnx')
        reader = Reader(fold_constants(path, folded), found)
        with atomic_path(out) as part:
            quantize_static(
                folded, part, reader, quant_format=QuantFormat.QDQ,
                op_types_to_quantize=['Conv'], per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8, reduce_range=weight_bits == 7)


def main(argv: Optional[List[str]] = None) -> None:
    """Look at videos, round, write."""
    args = parse_args(argv)
    cfg = load_config(args.config, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'costa_mm'))
    quantize(args.graph, args.out, videos(cfg, args.split, args.number),
             args.weight_bits)
    before, after = (os.path.getsize(p) / 1e6 for p in (args.graph, args.out))
    print(f'{args.out}: {after:.1f} MB, {args.graph} has {before:.1f}')


if __name__ == '__main__':
    sys.exit(run_main(main))
