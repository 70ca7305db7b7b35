# Copyright (c) costa_mm authors. All rights reserved.
"""Where a Hugging Face model comes from; a tokenizer that needs nothing."""
import importlib.util
import os
import re
import zlib
from typing import Dict, List, Sequence

import torch
from torch import Tensor

_PACKAGE = 'package://'
# Hugging Face configs of the encoders that the shipped configs name
_CONFIGS = {
    'roberta-base':
    dict(
        model_type='roberta',
        vocab_size=50265,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5)
}


def resolve_model_name(name: str) -> str:
    """Turn ``package://PACKAGE/FOLDER`` into the folder's path.

    Some PyPI packages carry a model as plain files.  The folder is found
    without importing (that is, running) the package.  Any other name is
    returned as it is: a hub name or a local folder.

    Raises:
        ModuleNotFoundError: If the package is not installed.
    """
    if not name.startswith(_PACKAGE):
        return name
    package, _, folder = name[len(_PACKAGE):].partition('/')
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            f'the text encoder {name!r} lies in the package '
            f'{package.replace("_", "-")}, which is not installed: pip '
            f'install --no-deps {package.replace("_", "-")}, or choose '
            'another model_name')
    return os.path.join(list(spec.submodule_search_locations)[0], folder)


def without_weights(text_encoder: dict) -> dict:
    """The same text encoder, made from a config alone.

    For counting, and for tools that bring the weights themselves: no file is
    read and no hub is asked.

    Args:
        text_encoder (dict): Config of an :class:`HFTextEncoder`; unchanged.

    Returns:
        dict: Its config with ``pretrained=False``.

    Raises:
        KeyError: If the sizes of the named model are not known here.
    """
    cfg = dict(text_encoder)
    if not cfg.get('pretrained', True):
        return cfg
    name = cfg.pop('model_name', 'roberta-base')
    if name not in _CONFIGS:
        raise KeyError(f'the sizes of the text encoder {name!r} are not known '
                       f'without its files, only those of {list(_CONFIGS)}')
    return {**cfg, 'pretrained': False, 'config': dict(_CONFIGS[name])}


class HashTokenizer:
    """Maps every word to a number by its hash; for models without files.

    With random weights any injective map of words will do.  The ids 0 to 3
    are kept for begin, padding, end and unknown, as RoBERTa has them.

    Args:
        vocab_size (int): Number of ids.

    Raises:
        ValueError: If there is no room for a word.
    """

    def __init__(self, *, vocab_size: int) -> None:
        if vocab_size < 5:
            raise ValueError(f'vocab_size must be at least 5: {vocab_size}')
        self.vocab_size = vocab_size

    def _ids(self, text: str) -> List[int]:
        words = re.findall(r'\w+|[^\w\s]', text.lower())
        room = self.vocab_size - 4
        return [0] + [4 + zlib.crc32(w.encode()) % room for w in words] + [2]

    def __call__(self,
                 texts: Sequence[str],
                 *,
                 max_length: int,
                 **kwargs) -> Dict[str, Tensor]:
        """Token ids and attention mask (1 on tokens), both (N, L), int64."""
        rows = [self._ids(text)[:max_length] for text in texts]
        length = max(map(len, rows))
        ids = torch.ones(len(rows), length, dtype=torch.long)
        mask = torch.zeros(len(rows), length, dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, :len(row)] = torch.tensor(row)
            mask[i, :len(row)] = 1
        return dict(input_ids=ids, attention_mask=mask)
