# Copyright (c) costa_mm authors. All rights reserved.
"""Pretrained parts that models start from, and what each of them gives."""
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

from mmengine.logging import print_log
from torch import Tensor, nn

from .pretrained import backbone_names, load_mapped_weights
from .published_checkpoints import convert_checkpoint, pick_weights
from .published_names import MDETR_ANCHOR, MDETR_COSTA, TUBEDETR, Rules
from .sources import WeightSource
from .vilbert_names import VILBERT

PARTS: Dict[str, WeightSource] = dict(
    # ResNet-101, RoBERTa and the layers of a DETR that reads text, trained
    # on 1.3 M images with sentences and boxes
    mdetr_resnet101=WeightSource(
        'https://zenodo.org/record/4721981/files/'
        'pretrained_resnet101_checkpoint.pth',
        size='3.0 GB',
        licence='Apache-2.0',
        page='https://github.com/ashkamath/mdetr'),
    # I3D ResNet-50 of mmaction2, trained on Kinetics-400
    i3d_resnet50_kinetics400=WeightSource(
        'https://download.openmmlab.com/mmaction/v1.0/recognition/i3d/'
        'i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_kinetics400-rgb/'
        'i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_kinetics400-rgb_'
        '20220812-e213c223.pth',
        size='113 MB',
        licence='Apache-2.0',
        page='https://github.com/open-mmlab/mmaction2'),
    # Video Swin-T, trained on Kinetics-400 from ImageNet-1k
    video_swin_tiny_kinetics400=WeightSource(
        'https://github.com/SwinTransformer/storage/releases/download/v1.0.4/'
        'swin_tiny_patch244_window877_kinetics400_1k.pth',
        licence='Apache-2.0',
        page='https://github.com/SwinTransformer/Video-Swin-Transformer'),
    # torchvision's ResNet-101, trained on ImageNet
    resnet101_imagenet=WeightSource(
        'https://download.pytorch.org/models/resnet101-63fe2227.pth',
        size='179 MB',
        licence='BSD-3-Clause',
        page='https://pytorch.org/vision'),
    # BERT-base, a vision stream over ResNet-101 features of regions and
    # co-attention, trained on Conceptual Captions
    vilbert_conceptual_captions=WeightSource(
        'https://dl.fbaipublicfiles.com/vilbert-multi-task/'
        'pretrained_model.bin',
        file='vilbert_conceptual_captions.bin',
        licence='MIT',
        page='https://github.com/facebookresearch/vilbert-multi-task'))

# what files that hold no whole model of ours give: MDETR to a method, ViLBERT
# to STVGBert
_PART_RULES: Dict[str, Rules] = dict(
    mdetr_costa=MDETR_COSTA,
    mdetr_stcat=MDETR_ANCHOR,
    mdetr_tubedetr=TUBEDETR,
    vilbert=VILBERT)


class LoadedPart(NamedTuple):
    """One part of initial weights in a model's names.

    Attributes:
        weights (str): What the config calls it.
        state (dict[str, Tensor]): By the model's names.
        dropped (list[str]): Its tensors that the model has no use for.
    """
    weights: str
    state: Dict[str, Tensor]
    dropped: List[str]


def read_part(weights: str,
              layout: Optional[str] = None,
              prefix: Optional[str] = None,
              key: Optional[str] = None) -> LoadedPart:
    """Fetch, read and rename one part.

    Args:
        weights (str): Name, address or path, see
            :func:`costa_mm.weights.resolve_weights`.
        layout (str, optional): What MDETR is to give: 'mdetr_costa',
            'mdetr_stcat' or 'mdetr_tubedetr'; 'vilbert' for ViLBERT.
        prefix (str, optional): For a classifier's backbone: where it goes,
            'backbone.spatial.', 'backbone.temporal.' or 'backbone.motion.'.
        key (str, optional): Where the weights are in the file, see
            :func:`pick_weights`.

    Raises:
        FileNotFoundError: If it cannot be had.
        ValueError: If neither or both of ``layout`` and ``prefix`` are given,
            or the file is of another kind.
    """
    from .reading import load_file
    from .resolve import resolve_weights
    if (layout is None) == (prefix is None):
        raise ValueError(f'initial weights {weights!r}: give layout=... '
                         f'({", ".join(_PART_RULES)}) or prefix=...')
    if layout is not None and layout not in _PART_RULES:
        raise ValueError(f'initial weights {weights!r}: there is no layout '
                         f'{layout!r}, only {", ".join(_PART_RULES)}')
    checkpoint = load_file(resolve_weights(weights), mmap=True)
    if layout is not None:
        out = convert_checkpoint(checkpoint, _PART_RULES[layout], key)
        return LoadedPart(weights, out.checkpoint['state_dict'], out.dropped)
    _, state = pick_weights(checkpoint, key)
    renamed = backbone_names(state, prefix)
    return LoadedPart(weights, renamed,
                      sorted(set(state) - set(map(_bare(prefix), renamed))))


def _bare(prefix: str):
    return lambda name: name.removeprefix(prefix)


def _log(text: str) -> None:
    print_log(text, 'current')


def load_initial_weights(model: nn.Module,
                         parts: Sequence[dict],
                         tell: Callable[[str], None] = _log) -> dict:
    """Compose a model's initial weights from published parts.

    What was loaded, missing and left over of every part is told, and which
    modules keep their own initialisation.

    Args:
        model (nn.Module): The model; changed in place.
        parts (Sequence[dict]): Arguments of :func:`read_part`, in order; a
            later part replaces what an earlier one gave.
        tell (Callable): Gets what is told; by default the log.

    Returns:
        dict: A checkpoint with the tensors that were loaded ('state_dict')
        and 'meta'.

    Raises:
        FileNotFoundError: If a part cannot be had.
        ValueError: If a part is malformed, or nothing of it fits.
    """
    own, loaded = model.state_dict(), set()
    for part in parts:
        if not isinstance(part, dict) or 'weights' not in part:
            raise ValueError('a part of initial weights is dict(weights=..., '
                             f'layout=... or prefix=...), not {part!r}')
        prefix = part.get('prefix')
        if prefix and not any(n.startswith(prefix) for n in own):
            tell(f'initial weights: the model has no {prefix[:-1]}, so '
                 f"{part['weights']} is not needed")
            continue
        name, state, dropped = read_part(**part)
        reached = {'.'.join(n.split('.')[:2]) + '.' for n in state}
        report = load_mapped_weights(model, state, reached)
        tell(f'initial weights from {name}:\n{report}\n'
             f'  not used by this model: {len(dropped)}')
        loaded.update(report.loaded)
    own = model.state_dict()  # that of a sharded model is a copy
    rest = [n for n in own if n not in loaded]
    modules = sorted({'.'.join(n.split('.')[:2]) for n in rest})
    tell(f'initial weights: {len(loaded)} of {len(own)} tensors; the others '
         f'keep their own initialisation, in {", ".join(modules) or "none"}')
    return dict(
        state_dict={n: v for n, v in own.items() if n in loaded},
        meta=dict(initial_weights=[dict(part) for part in parts]))
