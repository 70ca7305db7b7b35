# Copyright (c) costa_mm authors. All rights reserved.
"""Published checkpoints (STCAT, TubeDETR, MDETR) as checkpoints of ours."""
from typing import Dict, List, NamedTuple, Optional, Tuple

from torch import Tensor

from .published_names import Rules, rename

# averaged weights first: evaluation and releases use them
_KEYS = ('model_ema', 'model', 'state_dict')


class Conversion(NamedTuple):
    """A converted checkpoint.

    Attributes:
        checkpoint (dict): With 'state_dict' and 'meta', for ``load_from``.
        key (str): Where in the published file the weights were; '' for a
            bare state dict.
        dropped (list[str]): Published names that were left out on purpose.
    """
    checkpoint: dict
    key: str
    dropped: List[str]


def pick_weights(checkpoint: dict,
                 key: Optional[str] = None) -> Tuple[str, Dict[str, Tensor]]:
    """Find the state dict in a published file.

    Args:
        checkpoint (dict): Content of the file.
        key (str, optional): Where it is; by default the averaged weights
            where there are any, then the plain ones.

    Returns:
        tuple[str, dict[str, Tensor]]: The key and the weights, without the
        'module.' that parallel training puts in front.

    Raises:
        KeyError: If there is nothing at ``key``.
    """
    if key is not None and checkpoint.get(key) is None:
        raise KeyError(f'no weights at {key!r}; the file has '
                       f'{sorted(map(str, checkpoint))[:10]}')
    if key is None:
        # 'model_ema' is None where training ran without averages
        found = [k for k in _KEYS if checkpoint.get(k) is not None]
        key = found[0] if found else ''
    state = checkpoint[key] if key else checkpoint
    return key, {k.removeprefix('module.'): v for k, v in state.items()}


def convert_checkpoint(checkpoint: dict,
                       rules: Rules,
                       key: Optional[str] = None) -> Conversion:
    """Rename the weights of a published file.

    Args:
        checkpoint (dict): Content of the file.
        rules (Sequence[tuple]): One of the tables of ``published_names``.
        key (str, optional): See :func:`pick_weights`.

    Returns:
        Conversion: What to save, and what was left out.

    Raises:
        KeyError: If there is nothing at ``key``.
        ValueError: If the weights are not of this method.
    """
    key, state = pick_weights(checkpoint, key)
    renamed = rename(state, rules)
    return Conversion(
        dict(state_dict=renamed.state, meta=dict(converted_from=key)), key,
        renamed.dropped)
