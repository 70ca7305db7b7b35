# Copyright (c) costa_mm authors. All rights reserved.
"""Which model a person means, and on which device."""
import copy
import os
from typing import Optional, Tuple, Union

import torch
from mmengine.config import Config, ConfigDict

from costa_mm.engine.config import load_config
from costa_mm.utils.configs import settle_preprocessor
from costa_mm.utils.errors import first_line
from costa_mm.weights import find_model
from .inputs import text_path

Model = Union[str, os.PathLike, Config, dict]


def find_config(model: Optional[Model], weights: Optional[str]
                 ) -> Tuple[Union[Config, ConfigDict], Optional[str]]:
    """The config that a person means, and the checkpoint."""
    if model is None:
        if weights is None:
            raise ValueError('without a model its weights must be specified: '
                             'their file holds the config')
        return ConfigDict(), weights
    if isinstance(model, dict):
        model = ConfigDict(model)
    if isinstance(model, (Config, ConfigDict)):
        model = copy.deepcopy(model)
        settle_preprocessor(model)
        return model, weights
    path = text_path('model', model)
    if os.path.isfile(path):
        return load_config(path), weights
    if path.endswith('.py'):
        raise FileNotFoundError(f'there is no config file {path}')
    entry = find_model(path)
    return load_config(entry.config), weights or entry.present_weights


def config_of(checkpoint: dict, path: str) -> ConfigDict:
    """The config that a training run left in its checkpoint."""
    text = (checkpoint.get('meta') or {}).get('cfg')
    if not text:
        raise ValueError(f'{path} holds no config: give one, '
                         'STVGInferencer(config, weights=...)')
    cfg = Config.fromstring(text, file_format='.py')._cfg_dict
    settle_preprocessor(cfg)
    return cfg


def check_device(device: str) -> None:
    """Say at once, not after loading, that a device is not there."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as e:
        reason = first_line(e)
        raise ValueError(
            f"device {device!r} cannot be used here; give 'cpu', or 'cuda:0' "
            f'on a machine with a GPU and a torch for it ({reason})') from e
