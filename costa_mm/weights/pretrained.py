# Copyright (c) costa_mm authors. All rights reserved.
"""Pretrained parts put together to the initial weights of a model.

Names of the sources: torchvision's ResNets (``layer1.0.conv1.weight``,
``fc.*``), mmpretrain's (``backbone.*``, ``head.*``), mmaction2's recognisers
(``backbone.*``, ``cls_head.*``), and MDETR's (``published_names``).
"""
from typing import Dict, Iterable, List, NamedTuple, Sequence

from torch import Tensor, nn

_CLASSIFIERS = ('fc.', 'head.', 'cls_head.', 'data_preprocessor.')
_COUNTER = 'num_batches_tracked'


class LoadReport(NamedTuple):
    """What became of a checkpoint.

    Attributes:
        loaded (list[str]): Our names that got a value.
        missing (list[str]): Our names below the checkpoint's prefix that did
            not; counters of batch norms, which nothing reads, do not count.
        left_over (list[str]): Names of the checkpoint that found no place.
        misshapen (list[str]): Our names whose value has another shape, with
            both shapes.
    """
    loaded: List[str]
    missing: List[str]
    left_over: List[str]
    misshapen: List[str]

    def __str__(self) -> str:
        lines = []
        for name, items in zip(self._fields, self):
            lines.append(f'  {name}: {len(items)}')
            if name != 'loaded' and items:
                shown = ', '.join(items[:5])
                lines.append(f'    {shown}{", ..." if items[5:] else ""}')
        return '\n'.join(lines)


def backbone_names(state: Dict[str, Tensor],
                   prefix: str) -> Dict[str, Tensor]:
    """A classifier's weights by the names of one of our pathways.

    Patches of 'backbone.motion.' are one frame deep, those of Video Swin's
    checkpoints two: they are summed over time, which gives a still video
    what it gave before.

    Args:
        state (dict[str, Tensor]): From torchvision, mmpretrain or mmaction2.
        prefix (str): 'backbone.spatial.', 'backbone.temporal.' or
            'backbone.motion.'.

    Returns:
        dict[str, Tensor]: Without the classifier.
    """
    out = {}
    for name, value in state.items():
        name = name.removeprefix('module.')
        if name.startswith(_CLASSIFIERS):
            continue
        name = prefix + name.removeprefix('backbone.')
        if name == 'backbone.motion.patch_embed.proj.weight':
            value = value.sum(2, keepdim=True)
        out[name] = value
    return out


def fit_time(value: Tensor, shape: Sequence[int]) -> Tensor:
    """A convolution's weight for another length in time.

    A 2D weight, or one of a single frame (SlowOnly), is repeated over time
    and divided by its length, so that a still video gives what the image
    gives (I3D's inflation).

    Args:
        value (Tensor): (O, I, h, w) or (O, I, 1, h, w).
        shape (Sequence[int]): Shape wanted, (O, I, t, h, w).

    Returns:
        Tensor: Of this shape, or ``value`` where the rule does not apply.
    """
    shape = tuple(shape)
    if len(shape) == 5 and value.dim() == 4:
        value = value.unsqueeze(2)
    if (len(shape) == 5 and value.dim() == 5 and value.shape[2] == 1
            and shape[2] > 1):
        grown = value.expand(-1, -1, shape[2], -1, -1) / shape[2]
        return grown.clone() if grown.shape == shape else value
    return value


def load_mapped_weights(model: nn.Module,
                        state: Dict[str, Tensor],
                        prefixes: Iterable[str] = ('', )) -> LoadReport:
    """Copy weights by our names into a model.

    Args:
        model (nn.Module): The model; changed in place.
        state (dict[str, Tensor]): By our names.
        prefixes (Iterable[str]): Parts for which ``missing`` is reported.

    Returns:
        LoadReport: What was loaded and what was not.

    Raises:
        ValueError: If nothing fits at all.
    """
    own = model.state_dict()
    report, fitting = LoadReport([], [], [], []), {}
    for name, value in state.items():
        if name not in own:
            report.left_over.append(name)
            continue
        value = fit_time(value, own[name].shape)
        if value.shape != own[name].shape:
            report.misshapen.append(f'{name} {tuple(value.shape)} for '
                                    f'{tuple(own[name].shape)}')
            continue
        fitting[name] = value
        report.loaded.append(name)
    if all(n.endswith(_COUNTER) for n in report.loaded):
        names = sorted(state)[:3]
        raise ValueError(
            f'not one of the {len(state)} tensors of the checkpoint (for '
            f'instance {names}) fits the model: is it the right checkpoint, '
            'or the right config?')
    model.load_state_dict(fitting, strict=False)
    done = set(report.loaded)
    report.missing.extend(
        n for n in own if n.startswith(tuple(prefixes)) and n not in done
        and not n.endswith(_COUNTER))
    return report
