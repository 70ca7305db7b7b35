# Copyright (c) costa_mm authors. All rights reserved.
"""A text encoder that is trained from nothing."""
import zlib
from typing import List, Optional

from torch import Tensor, nn

from costa_mm.models import BaseTextEncoder
from costa_mm.registry import MODELS


@MODELS.register_module()
class WordGRUEncoder(BaseTextEncoder):
    """Words numbered by their hash, read from left to right by a GRU.

    Args:
        num_words (int): Size of the table of words.
        hidden_size (int): Channels of words and states.
        **kwargs: ``out_channels``, ``dropout`` and others, see
            :class:`BaseTextEncoder`.
    """

    def __init__(self,
                 *,
                 num_words: int = 512,
                 hidden_size: int = 64,
                 **kwargs) -> None:
        model = nn.ModuleDict(
            dict(
                table=nn.Embedding(num_words, hidden_size),
                gru=nn.GRU(hidden_size, hidden_size, batch_first=True)))
        super().__init__(model=model, hidden_size=hidden_size, **kwargs)
        self.num_words = num_words

    def sentence_ids(self, sentences: List[str]) -> List[List[int]]:
        """Number 0 is padding."""
        room = self.num_words - 1
        return [[1 + zlib.crc32(word.encode()) % room
                 for word in sentence.split()] for sentence in sentences]

    def run_model(self, ids: Tensor, mask: Optional[Tensor]) -> Tensor:
        """What stands before a word is read first, so that padding, which is
        at the end, changes nothing."""
        return self.model['gru'](self.model['table'](ids))[0]
