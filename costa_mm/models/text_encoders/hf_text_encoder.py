# Copyright (c) costa_mm authors. All rights reserved.
"""Any Hugging Face encoder as the text encoder of a grounder."""
import textwrap
from typing import List, Optional, Set

from mmengine.logging import print_log
from torch import Tensor, nn

from costa_mm.registry import MODELS
from .base_text_encoder import BaseTextEncoder
from .hf_loading import config_fields, load_pretrained, make_model
from .tokenization import HashTokenizer


@MODELS.register_module()
class HFTextEncoder(BaseTextEncoder):
    """Pretrained language model, then linear, LayerNorm and dropout to C.

    BERT and its relatives, the encoder of T5 and other encoder-decoder
    models, the text model of CLIP.  The tokenizer belongs to it, so training,
    testing and the demo read text in one way.

    Args:
        model_name (str): Hub name ('roberta-base'), local folder, or
            'package://PACKAGE/FOLDER' for a model that an installed package
            carries.
        out_channels (int, optional): C; None for the model's own channels.
        pretrained (bool): Whether to load weights and tokenizer.  Without,
            the model is built from ``config`` alone, no file or hub is asked,
            and words are numbered by their hash.
        config (dict, optional): Fields of the Hugging Face config, among them
            'model_type'; needed if, and only if, not pretrained.
        num_layers (int, optional): How many of the model's layers are used,
            from below; all by default.
        max_length (int): Tokens kept of a sentence; never more than the
            model has positions for.
        **kwargs: ``frozen``, ``dropout``, ``lower``: see
            :class:`BaseTextEncoder`.

    Raises:
        ValueError: If ``config`` is missing, or given for nothing; if
            weights, config and tokenizer do not belong together; if there
            are fewer than ``num_layers`` layers.
        OSError: If weights are not to be had or damaged; the message says
            where they were looked for and what can be done.
    """

    def __init__(self,
                 *,
                 model_name: str = 'roberta-base',
                 out_channels: Optional[int] = 256,
                 pretrained: bool = True,
                 config: Optional[dict] = None,
                 num_layers: Optional[int] = None,
                 max_length: int = 256,
                 **kwargs) -> None:
        if pretrained == (config is not None):
            raise ValueError('HFTextEncoder takes `config` if and only if '
                             'pretrained=False')
        if pretrained:
            model, tokenizer = load_pretrained(
                model_name, in_checkpoint=not kwargs.get('frozen', False))
        else:
            model = make_model(config)
            tokenizer = HashTokenizer(
                vocab_size=model.get_input_embeddings().num_embeddings)
        if num_layers is not None:
            keep_lower_layers(model, num_layers)
        super().__init__(
            model=model,
            hidden_size=model.config.hidden_size,
            out_channels=out_channels,
            **kwargs)
        self.as_built &= pretrained  # else it is drawn anew each time
        self.model_name = model_name
        self.tokenizer = tokenizer
        self.pad_id = tokenizer.pad_token_id or 0
        self.max_length = min(max_length, num_positions(model) or max_length)
        self._special = frozenset(tokenizer.all_special_ids)
        self._warned: Set[str] = set()

    @classmethod
    def without_weights(cls, config: dict) -> dict:
        """The same encoder with ``pretrained=False``, see the base class.

        Sizes are read from config.json where ``model_name`` is a folder.
        """
        config = dict(config)
        if not config.get('pretrained', True):
            return config
        name = config.pop('model_name', 'roberta-base')
        return {**config, 'pretrained': False, 'config': config_fields(name)}

    def save_tokenizer(self, folder: str) -> None:
        """Write the tokenizer's files, see the base class."""
        if isinstance(self.tokenizer, HashTokenizer):
            super().save_tokenizer(folder)
        self.tokenizer.save_pretrained(folder)

    def sentence_ids(self, sentences: List[str]) -> List[List[int]]:
        """Token ids; what is cut or unknown is told once per sentence."""
        ids = self.tokenizer(
            sentences, truncation=True,
            max_length=self.max_length)['input_ids']
        for sentence, row in zip(sentences, ids):
            if len(row) == self.max_length:
                self._warn_of_cut(sentence)
            if self._special.issuperset(row):
                self._warn(sentence, 'the text encoder knows no word of')
        return ids

    def _warn_of_cut(self, sentence: str) -> None:
        found = len(
            self.tokenizer([sentence], truncation=False,
                           verbose=False)['input_ids'][0])
        if found > self.max_length:
            self._warn(
                sentence, f'only the first {self.max_length} of {found} '
                'tokens (all that the text encoder takes) are read of')

    def _warn(self, sentence: str, what: str) -> None:
        if sentence not in self._warned:
            self._warned.add(sentence)
            shown = textwrap.shorten(sentence, 200, placeholder=' ...')
            print_log(f'{what} the sentence {shown!r}', 'current', 30)

    def run_model(self, ids: Tensor, mask: Optional[Tensor]) -> Tensor:
        """Last hidden state."""
        # transformers would ask the device whether a mask masks anything
        attention = None if mask is None else (~mask).long()
        return self.model(
            input_ids=ids, attention_mask=attention).last_hidden_state


def keep_lower_layers(model: nn.Module, num: int) -> None:
    """Cut the upper layers off a model, in place.

    Args:
        model (nn.Module): A Hugging Face text model.
        num (int): Layers to keep.

    Raises:
        ValueError: If it has fewer layers, or its layers are not found.
    """
    found = model.config.num_hidden_layers
    stacks = [m for m in model.modules()
              if isinstance(m, nn.ModuleList) and len(m) == found]
    if not 0 < num <= found or not stacks:
        raise ValueError(f'num_layers={num}: {type(model).__name__} has '
                         f'{found if stacks else "no list of"} layers')
    del stacks[0][num:]
    model.config.num_hidden_layers = num


def num_positions(model: nn.Module) -> Optional[int]:
    """Longest sequence that a model's table of positions takes.

    Args:
        model (nn.Module): A Hugging Face text model.

    Returns:
        int or None: Tokens; None where positions are relative or rotary.
    """
    limits = []
    for name, module in model.named_modules():
        leaf = name.rpartition('.')[2]
        if isinstance(module, nn.Embedding) and (
                'position' in leaf or leaf == 'wpe'):
            # RoBERTa's relatives count from the padding's number, BART's
            # from an offset
            padding = module.padding_idx
            skipped = getattr(module, 'offset', 0) or (
                0 if padding is None else padding + 1)
            limits.append(module.num_embeddings - skipped)
    return min(limits, default=None)
