# Copyright (c) costa_mm authors. All rights reserved.
"""Export a grounder with ``torch.export``, for a fixed number of frames.

    python tools/model_converters/export_model.py CONFIG CHECKPOINT out.pt2
        --shape 16 64 64

The file holds a graph that runs without costa_mm (``torch.export.load``).  It
takes one video, (T, 3, H, W), uint8, RGB, and the word pieces of a sentence,
``ids`` and ``attention``, both (1, L), int64, padded to L with attention 0.
It returns the boxes of the last layer, (T, 4), normalised (cx, cy, w, h), and
the start and end scores, (T, 2).  Sampling and resizing of frames, the
tokenizer and the choice of the span stay outside: ``--with-tokenizer`` lays
the tokenizer's files beside the graph.
"""
import argparse
import os
from typing import Tuple

import torch
import torch.nn.functional as F
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from costa_mm.engine.checkpoint_io import load_weights, read_checkpoint
from costa_mm.models.text_encoders import TextTokens
from costa_mm.registry import MODELS
from costa_mm.structures import TubeDataSample

SENTENCES = ('The man in black walks behind the woman and sits down.',
             'a dog')


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='weights')
    parser.add_argument('out', help='file to write, .pt2')
    parser.add_argument('--shape', type=int, nargs=3, required=True,
                        metavar=('T', 'H', 'W'),
                        help='frames, height and width of every video')
    parser.add_argument('--num-words', type=int, default=32, metavar='L',
                        help='word pieces of a sentence, padding included')
    parser.add_argument('--tolerance', type=float, default=1e-4,
                        help='greatest allowed difference to eager')
    parser.add_argument('--with-tokenizer', action='store_true',
                        help="write the tokenizer's files beside the graph")
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    return parser.parse_args()


class ExportableGrounder(nn.Module):
    """A grounder from tensors to tensors, one video without padding.

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
        visual = model.extract_video(model.data_preprocessor.stack([frames]))
        outs = model.head(model.neck(visual, words))
        return outs.boxes[-1, 0], outs.span_logits[-1, 0].float()


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
def difference(model: nn.Module, graph: nn.Module, shape: Tuple[int, ...],
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


def export(model: nn.Module, shape: Tuple[int, ...],
           num_words: int) -> torch.export.ExportedProgram:
    """Trace the model."""
    video = torch.zeros(shape[0], 3, *shape[1:], dtype=torch.uint8)
    words = word_pieces(model, SENTENCES[0], num_words)
    with torch.no_grad():
        return torch.export.export(
            ExportableGrounder(model), (video, *words), strict=False)


def main() -> None:
    """Export, compare, write."""
    args = parse_args()
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'costa_mm'))
    model = MODELS.build(cfg.model)
    load_weights(model, read_checkpoint(args.checkpoint), args.checkpoint,
                 whole=True)
    model.eval()
    program = export(model, args.shape, args.num_words)
    worst = difference(model, program.module(), args.shape, args.num_words)
    print(f'greatest difference to eager: {worst:.2e}')
    if not worst <= args.tolerance:
        raise SystemExit(f'more than {args.tolerance}: nothing is written')
    os.makedirs(os.path.dirname(os.path.abspath(args.out)), exist_ok=True)
    torch.export.save(program, args.out)
    print(f'{args.out}: {os.path.getsize(args.out) / 1e6:.1f} MB')
    if args.with_tokenizer:
        folder = os.path.splitext(args.out)[0] + '_tokenizer'
        model.text_encoder.save_tokenizer(folder)
        print(folder)


if __name__ == '__main__':
    main()
