# Copyright (c) costa_mm authors. All rights reserved.
"""Put pretrained parts together to the initial weights of CoSTA.

Training does the same on its own where the config's ``load_from`` names the
parts; this tool writes it to a file.  A part is a file, an address, or a name
such as mdetr_resnet101 (``costa_mm.weights.PARTS``).

Any of the sources may be left out; what it would have given is then not in
the file and keeps the model's own initialisation.  MDETR gives ResNet-101,
text encoder and the transformer layers that CoSTA shares with it; ``--image``
replaces the ResNet-101 of MDETR.  The config's text encoder is not loaded: its
weights come from MDETR, or from where the config says when training starts.

Example::

    python tools/model_converters/make_costa_init.py \\
        configs/costa_hcstvg.py weights/costa_r101_i3d_init.pth \\
        --mdetr pretrained_resnet101_checkpoint.pth \\
        --video i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_kinetics400.pth

SlowOnly has its temporal convolutions elsewhere; give the pathway its form,
here and in training::

    --cfg-options model.backbone.temporal.conv1_kernel="(1,7,7)" \\
        model.backbone.temporal.inflate="(0,0,1,1)"
"""
import argparse
import sys

from mmengine.config import DictAction
from mmengine.registry import init_default_scope
from torch import nn

from costa_mm.cli.running import run_main
from costa_mm.engine.checkpoint_io import save_checkpoint_file
from costa_mm.engine.config import load_config
from costa_mm.models.text_encoders import without_weights
from costa_mm.registry import MODELS
from costa_mm.weights import load_initial_weights

PATHWAYS = dict(image='backbone.spatial.', video='backbone.temporal.')


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description='Initial weights of CoSTA from pretrained parts')
    parser.add_argument('config', help='config of the model')
    parser.add_argument('dst', help='file to write')
    parser.add_argument(
        '--mdetr', help="MDETR's pretrained_resnet101_checkpoint.pth")
    parser.add_argument(
        '--image', help='ResNet-101 of torchvision or mmpretrain')
    parser.add_argument(
        '--video',
        help='I3D, SlowOnly or ResNet3d checkpoint of mmaction2, or a 2D '
        'ResNet-50, which is inflated')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    return parser.parse_args()


def parts_of(args: argparse.Namespace) -> list:
    """The parts that were asked for, later ones over earlier ones."""
    parts = [dict(weights=args.mdetr, layout='mdetr_costa')] \
        if args.mdetr else []
    return parts + [
        dict(weights=getattr(args, option), prefix=prefix)
        for option, prefix in PATHWAYS.items() if getattr(args, option)
    ]


def build_model(args: argparse.Namespace) -> nn.Module:
    """The config's model, without the weights of its text encoder."""
    cfg = load_config(args.config, args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'costa_mm'))
    try:
        text = without_weights(cfg.model.text_encoder)
    except KeyError:  # an encoder of unknown size has to be loaded
        text = cfg.model.text_encoder
    return MODELS.build({**cfg.model, 'text_encoder': text})


def main() -> None:
    """Read, map, report, write."""
    args = parse_args()
    parts = parts_of(args)
    if not parts:
        raise ValueError('give at least one of --mdetr, --image, --video')
    model = build_model(args)
    checkpoint = load_initial_weights(model, parts, print)
    save_checkpoint_file(checkpoint, args.dst)
    print(f"{args.dst}: {len(checkpoint['state_dict'])} of "
          f'{len(model.state_dict())} tensors')


if __name__ == '__main__':
    sys.exit(run_main(main))
