# Copyright (c) costa_mm authors. All rights reserved.
"""Put pretrained parts together to the initial weights of CoSTA.

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

from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from torch import nn

from costa_mm.engine.checkpoint_io import save_checkpoint_file
from costa_mm.models.text_encoders import without_weights
from costa_mm.registry import MODELS
from costa_mm.weights import load_file
from costa_mm.weights.pretrained import backbone_names, load_mapped_weights
from costa_mm.weights.published_checkpoints import (convert_checkpoint,
                                                    pick_weights)
from costa_mm.weights.published_names import MDETR_COSTA

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


def mapped_weights(args: argparse.Namespace) -> dict:
    """Weights of every source file, by our names."""
    sources = {}
    if args.mdetr:
        out = convert_checkpoint(load_file(args.mdetr), MDETR_COSTA)
        sources[args.mdetr] = out.checkpoint['state_dict']
        print(f'{args.mdetr}: {len(out.dropped)} tensors have no place in '
              f'CoSTA, for instance {", ".join(out.dropped[:3])}')
    for option, prefix in PATHWAYS.items():
        path = getattr(args, option)
        if path:
            _, state = pick_weights(load_file(path))
            sources[path] = backbone_names(state, prefix)
    return sources


def build_model(args: argparse.Namespace) -> nn.Module:
    """The config's model, without the weights of its text encoder."""
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'costa_mm'))
    try:
        text = without_weights(cfg.model.text_encoder)
    except KeyError:  # an encoder of unknown size has to be loaded
        text = cfg.model.text_encoder
    return MODELS.build({**cfg.model, 'text_encoder': text})


def main() -> None:
    """Read, map, report, write."""
    args = parse_args()
    sources = mapped_weights(args)
    if not sources:
        raise SystemExit('give at least one of --mdetr, --image, --video')
    model = build_model(args)
    loaded = set()
    for path, state in sources.items():
        parts = {'.'.join(n.split('.')[:2]) + '.' for n in state}
        report = load_mapped_weights(model, state, parts)
        print(f'{path}:\n{report}')
        loaded.update(report.loaded)
    result = {k: v for k, v in model.state_dict().items() if k in loaded}
    save_checkpoint_file(
        dict(state_dict=result, meta=dict(sources=list(sources))), args.dst)
    total = len(model.state_dict())
    print(f'{args.dst}: {len(result)} of {total} tensors')


if __name__ == '__main__':
    main()
