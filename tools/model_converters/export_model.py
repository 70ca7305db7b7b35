# Copyright (c) costa_mm authors. All rights reserved.
"""Export a grounder with ``torch.export`` or as ONNX.

    python tools/model_converters/export_model.py CONFIG CHECKPOINT out.pt2
        --shape 16 64 64
    python tools/model_converters/export_model.py CONFIG CHECKPOINT out.onnx
        --shape 16 60 90

The file holds a graph that runs without costa_mm (``torch.export.load``, ONNX
Runtime).  It takes one video, ``frames``, (T, 3, H, W), uint8, RGB, and the
word pieces of a sentence, ``ids`` and ``attention``, both (1, L), int64,
padded with attention 0.  It returns the ``boxes`` of the last layer, (T, 4),
normalised (cx, cy, w, h) of the frame padded to a multiple of the model's
``pad_size_divisor``, and the start and end scores, ``span_logits``, (T, 2).
Sampling and resizing of frames, the tokenizer and the choice of the span stay
outside: ``--with-tokenizer`` lays the tokenizer's files beside the graph.

``--part backbone`` writes the backbone alone, from normalised and padded
frames, ``video``, (1, 3, T, H, W), float32, to its maps: what
``STVGInferencer(backend='onnxruntime', graph='out.onnx')`` runs, and what
``quantize_model.py`` takes.  Every engine runs every graph; with ``--engine
openvino`` CoSTA's is written without transposed maps, which OpenVINO runs
faster, and ONNX Runtime slower.

A graph of ``torch.export`` takes videos of one shape, with ``--dynamic``
those of any shape, as ONNX does: two frames or more, larger than one
``pad_size_divisor`` in height and width.
"""
import argparse
import importlib.util
import os
import sys
from typing import Callable, Dict, List, Sequence, Tuple

import torch
import torch.nn.functional as F
from mmengine.config import DictAction
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from costa_mm.apis.backends import BACKENDS, GraphBackbone
from costa_mm.cli.running import run_main
from costa_mm.engine.checkpoint_io import build_trained, read_checkpoint
from costa_mm.engine.config import load_config
from costa_mm.models.backbones import CollaborativeResNet, work_on_videos
from costa_mm.models.text_encoders import TextTokens
from costa_mm.structures import TubeDataSample, VideoBatch
from costa_mm.utils.files import atomic_path

SENTENCES = ('The man in black walks behind the woman and sits down.',
             'a dog')
Graph = Callable[..., Tuple[Tensor, ...]]


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='weights')
    parser.add_argument('out', help='file to write, .pt2 or .onnx')
    parser.add_argument('--shape', type=int, nargs=3, required=True,
                        metavar=('T', 'H', 'W'),
                        help='frames, height and width of every video, or '
                        'of the first one that a graph for all is tried on')
    parser.add_argument('--num-words', type=int, default=32, metavar='L',
                        help='word pieces of a sentence, padding included')
    parser.add_argument('--dynamic', action='store_true',
                        help='a .pt2 for videos and sentences of any size')
    parser.add_argument('--part', choices=('model', 'backbone'),
                        default='model', help='what is exported')
    parser.add_argument('--engine', choices=tuple(BACKENDS),
                        default='onnxruntime', help='whose taste counts for '
                        'the backbone')
    parser.add_argument('--tolerance', type=float, default=1e-4,
                        help='greatest allowed difference to eager')
    parser.add_argument('--with-tokenizer', action='store_true',
                        help="write the tokenizer's files beside the graph")
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    return parser.parse_args()


class ExportableGrounder(nn.Module):
    """A grounder from tensors to tensors, one video.

    Args:
        model (SpatioTemporalGrounder): In eval mode.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, frames: Tensor, ids: Tensor,
                attention: Tensor) -> Tuple[Tensor, Tensor]:
        """See the top of this file."""
        model = self.model
        words = model.text_encoder.encode(TextTokens(ids, attention == 0))
        visual = model.extract_video(self.batch(frames))
        outs = model.head(model.neck(visual, words))
        return outs.boxes[-1, 0], outs.span_logits[-1, 0].float()

    def batch(self, frames: Tensor) -> VideoBatch:
        """What the data preprocessor makes of one video.

        By padding, not by writing into a larger tensor: a graph of that
        would know whether height and width were multiples of the divisor.
        """
        preprocessor = self.model.data_preprocessor
        length, _, height, width = frames.shape
        divisor = preprocessor.pad_size_divisor
        pad = (0, -width % divisor, 0, -height % divisor)
        pixels = (frames.float() - preprocessor.mean) / preprocessor.std
        pixel_mask = F.pad(torch.zeros(1, height, width), pad, value=1.)
        return VideoBatch(
            frames=F.pad(pixels, pad)[None],
            durations=(length, ),
            frame_mask=torch.zeros(1, length, dtype=torch.bool),
            pixel_mask=pixel_mask.bool())


def word_pieces(model: nn.Module, sentence: str,
                length: int) -> Tuple[Tensor, Tensor]:
    """Ids and attention of a sentence, (1, L), padded.

    Raises:
        ValueError: If the sentence has more than L word pieces.
    """
    tokens = model.text_encoder.tokenize([sentence])
    found = tokens.ids.shape[1]
    if found > length:
        raise ValueError(f'{sentence!r} has {found} word pieces, more than '
                         f'--num-words {length}')
    pad = (0, length - found)
    return (F.pad(tokens.ids, pad, value=model.text_encoder.pad_id),
            F.pad(torch.ones_like(tokens.ids), pad))


@torch.no_grad()
def difference(model: nn.Module, graph: Graph, shape: Tuple[int, ...],
               num_words: int) -> float:
    """Greatest difference between graph and eager, on two random videos.

    Eager is the model itself: from a sentence, without padded words.
    """
    worst = 0.
    generator = torch.Generator().manual_seed(1)
    for sentence in SENTENCES:
        video = torch.randint(256, (shape[0], 3, *shape[1:]),
                              generator=generator, dtype=torch.uint8)
        sample = TubeDataSample(metainfo=dict(sentence=sentence))
        inputs = model.data_preprocessor.stack([video])
        outs = model(inputs, [sample], mode='tensor')
        wanted = outs.boxes[-1, 0], outs.span_logits[-1, 0].float()
        found = graph(video, *word_pieces(model, sentence, num_words))
        worst = max(worst, *(float((a - b).abs().max())
                             for a, b in zip(found, wanted)))
    return worst


def export(model: nn.Module, shape: Tuple[int, ...], num_words: int,
           dynamic: bool = False) -> torch.export.ExportedProgram:
    """Trace the model.

    Args:
        model (nn.Module): The grounder, in eval mode.
        shape (tuple[int, ...]): T, H and W of the video it is traced on.
        num_words (int): L of the sentence it is traced on.
        dynamic (bool): Whether the graph takes other T, H, W and L as well.
    """
    words = word_pieces(model, SENTENCES[0], num_words)
    video = torch.zeros(shape[0], 3, *shape[1:], dtype=torch.uint8)
    any_size, any_length = None, None
    if dynamic:
        free = torch.export.Dim.DYNAMIC
        any_size, any_length = {0: free, 2: free, 3: free}, {1: free}
        model.backbone.frame_chunk = None  # it would count the frames
    with torch.no_grad():
        return torch.export.export(
            ExportableGrounder(model), (video, *words), strict=False,
            dynamic_shapes=(any_size, any_length, any_length))


def other_shapes(shape: Sequence[int], divisor: int) -> List[Tuple[int, ...]]:
    """The shape and two others: more and fewer frames, larger and turned."""
    length, height, width = shape
    return [(length, height, width),
            (length + 3, height + divisor + 3, width + 1),
            (max(2, length // 2), width, height)]


def save_onnx(program: torch.export.ExportedProgram, path: str,
              inputs: Sequence[str] = ('frames', 'ids', 'attention'),
              outputs: Sequence[str] = ('boxes', 'span_logits')) -> None:
    """Translate a graph to ONNX, in the newest opset that torch writes.

    Raises:
        ImportError: If onnx or onnxscript is not installed.
    """
    try:
        import onnxscript  # noqa: F401
    except ImportError as e:
        raise ImportError(f'{e}: pip install onnx onnxscript onnxruntime '
                          '(requirements/optional.txt)') from e
    translated = torch.onnx.export(
        program, (), dynamo=True, verbose=False,
        input_names=list(inputs), output_names=list(outputs))
    translated.save(path)


def load_onnx(path: str) -> Graph:
    """A file of ONNX as a function of tensors, run by ONNX Runtime."""
    import onnxruntime
    session = onnxruntime.InferenceSession(
        path, providers=['CPUExecutionProvider'])
    names = [x.name for x in session.get_inputs()]

    def run(*inputs: Tensor) -> Tuple[Tensor, ...]:
        feed = {n: x.numpy() for n, x in zip(names, inputs)}
        return tuple(map(torch.from_numpy, session.run(None, feed)))

    return run


def export_file(model: nn.Module, args: argparse.Namespace) -> None:
    """Export, compare with the model, write.

    Raises:
        SystemExit: If they differ by more than the tolerance.
    """
    onnx = args.out.endswith('.onnx')
    dynamic = onnx or args.dynamic
    program = export(model, args.shape, args.num_words, dynamic)
    shapes = [tuple(args.shape)]
    if dynamic:
        shapes = other_shapes(args.shape,
                              model.data_preprocessor.pad_size_divisor)
    with atomic_path(args.out) as part:
        if onnx:
            save_onnx(program, part)
        else:
            torch.export.save(program, part)
        graph = load_onnx(part) if onnx else program.module()
        for shape in shapes:
            worst = difference(model, graph, shape, args.num_words)
            print(f'{shape[0]} frames of {shape[1]} x {shape[2]}: greatest '
                  f'difference to eager {worst:.2e}')
            if not worst <= args.tolerance:
                raise SystemExit(
                    f'more than {args.tolerance}: nothing is written')


# ------------------------------------------------------------ the backbone
class ExportableBackbone(nn.Module):
    """A backbone from one video to a tuple of maps.

    Args:
        backbone (nn.Module): As a grounder's, in eval mode.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, video: Tensor) -> Tuple[Tensor, ...]:
        """Maps of a video (1, 3, T, H, W)."""
        return tuple(named_maps(self.backbone, video).values())


def named_maps(backbone: nn.Module, video: Tensor) -> Dict[str, Tensor]:
    """Maps of a video by the names that a grounder knows them by."""
    maps = backbone(video, (video.shape[2], ))
    return maps if isinstance(maps, dict) else dict(features=maps[-1])


@torch.no_grad()
def export_backbone(model: nn.Module,
                    shape: Sequence[int],
                    path: str,
                    engine: str = 'onnxruntime') -> List[str]:
    """Write the backbone as ONNX for any T, H and W; returns its outputs.

    ``shape`` is that of the padded video that it is traced on.
    """
    backbone = model.backbone
    if engine == 'openvino' and isinstance(backbone, CollaborativeResNet):
        backbone = work_on_videos(backbone)
    backbone.frame_chunk = None  # it would count the frames
    video = torch.zeros(1, 3, *shape)
    names = list(named_maps(backbone, video))
    free = torch.export.Dim.DYNAMIC
    program = torch.export.export(
        ExportableBackbone(backbone), (video, ), strict=False,
        dynamic_shapes=({2: free, 3: free, 4: free}, ))
    save_onnx(program, path, ['video'], names)
    return names


@torch.no_grad()
def backbone_difference(model: nn.Module, graph: nn.Module,
                        shape: Sequence[int]) -> float:
    """Greatest difference to eager, as a part of the largest value."""
    video = torch.randn(1, 3, *shape,
                        generator=torch.Generator().manual_seed(1))
    wanted, found = named_maps(model.backbone, video), graph(video)
    return max(float((found[name] - x).abs().max() / x.abs().max())
               for name, x in wanted.items())


def export_backbone_file(model: nn.Module, args: argparse.Namespace) -> None:
    """Export the backbone, compare it with the model's, write.

    Every engine that is installed is compared.

    Raises:
        SystemExit: If they differ by more than the tolerance.
        ValueError: If the name does not end in ``.onnx``.
    """
    if not args.out.endswith('.onnx'):
        raise ValueError(f'--part backbone writes ONNX: {args.out} must end '
                         'in .onnx')
    divisor = max(model.data_preprocessor.pad_size_divisor, 32)
    with atomic_path(args.out) as part:
        export_backbone(model, _padded(args.shape, divisor), part,
                        args.engine)
        shapes = [_padded(shape, divisor)
                  for shape in other_shapes(args.shape, divisor)]
        for name in filter(importlib.util.find_spec, BACKENDS):
            graph = GraphBackbone(name, part)
            for shape in shapes:
                worst = backbone_difference(model, graph, shape)
                print(f'{name}, {shape[0]} frames of {shape[1]} x {shape[2]}: '
                      f'greatest difference to eager {worst:.2e} of the '
                      'largest value')
                if not worst <= args.tolerance:
                    raise SystemExit(
                        f'more than {args.tolerance}: nothing is written')


def _padded(shape: Sequence[int], divisor: int) -> Tuple[int, ...]:
    """A shape, height and width made multiples."""
    return (shape[0], *(-(-x // divisor) * divisor for x in shape[1:]))


def main() -> None:
    """Export, compare, write."""
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'costa_mm'))
    model = build_trained(cfg.model, read_checkpoint(args.checkpoint),
                          args.checkpoint).eval()
    export_part = export_file if args.part == 'model' \
        else export_backbone_file
    export_part(model, args)
    print(f'{args.out}: {os.path.getsize(args.out) / 1e6:.1f} MB')
    if args.with_tokenizer:
        folder = os.path.splitext(args.out)[0] + '_tokenizer'
        model.text_encoder.save_tokenizer(folder)
        print(folder)


if __name__ == '__main__':
    sys.exit(run_main(main))
