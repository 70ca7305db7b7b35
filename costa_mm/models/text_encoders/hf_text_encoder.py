# Copyright (c) costa_mm authors. All rights reserved.
"""Any Hugging Face encoder as the text encoder of a grounder."""
from contextlib import contextmanager
from typing import Dict, Iterator, Optional, Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from costa_mm.registry import MODELS
from costa_mm.structures import TextFeatures
from .tokenization import HashTokenizer, resolve_model_name


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """No progress bar and no list of the pooler's unused weights."""
    from transformers.utils import logging
    level = logging.get_verbosity()
    bar = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()


@MODELS.register_module()
class HFTextEncoder(BaseModule):
    """Pretrained language model, then linear, LayerNorm and dropout to C.

    The tokenizer belongs to it, so training, testing and the demo read text in
    one way.  Every distinct sentence of a batch is encoded once.

    Args:
        model_name (str): Hub name ('roberta-base'), local folder, or
            'package://PACKAGE/FOLDER' for a model that an installed package
            carries.
        out_channels (int): C.
        pretrained (bool): Whether to load weights and tokenizer.  Without,
            the model is built from ``config`` alone, no file or hub is asked,
            and words are numbered by their hash.
        config (dict, optional): Fields of the Hugging Face config, among them
            'model_type'; needed if, and only if, not pretrained.
        frozen (bool): Keep the language model out of training: in eval mode,
            without gradients, and out of saved checkpoints.
        max_length (int): Tokens kept of a sentence.
        dropout (float): Dropout of the output.
        lower (bool): Whether to lower-case sentences first.

    Raises:
        ValueError: If ``config`` is missing, or given for nothing.
        OSError: If weights are not to be had; the message says where they
            were looked for and what can be done.
    """

    def __init__(self,
                 *,
                 model_name: str = 'roberta-base',
                 out_channels: int = 256,
                 pretrained: bool = True,
                 config: Optional[dict] = None,
                 frozen: bool = False,
                 max_length: int = 256,
                 dropout: float = 0.1,
                 lower: bool = True) -> None:
        super().__init__()
        if pretrained == (config is not None):
            raise ValueError('HFTextEncoder takes `config` if and only if '
                             'pretrained=False')
        self.model_name = model_name
        self.frozen = frozen
        self.max_length = max_length
        self.lower = lower
        if pretrained:
            with _quiet_transformers():
                self._load(model_name)
        else:
            self._build(config)
        self.proj = nn.Linear(self.model.config.hidden_size, out_channels)
        self.norm = nn.LayerNorm(out_channels, eps=1e-12)
        self.dropout = nn.Dropout(dropout)
        if frozen:
            self._freeze()

    def _load(self, model_name: str) -> None:
        from transformers import AutoModel, AutoTokenizer
        path = resolve_model_name(model_name)
        # transformers 5 takes the checkpoint's own dtype unless told; an
        # unused pooler would have no gradient and break DDP
        kwargs = dict(dtype=torch.float32)
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(path)
            try:
                self.model = AutoModel.from_pretrained(
                    path, add_pooling_layer=False, **kwargs)
            except TypeError:  # DistilBERT and others have no pooler at all
                self.model = AutoModel.from_pretrained(path, **kwargs)
        except (OSError, ValueError) as e:
            raise OSError(
                f'the text encoder {model_name!r} could not be loaded, '
                'neither from a folder of this name nor from the hub or its '
                'cache. Put its files (config.json, tokenizer, weights) into '
                'a folder and give its path as text_encoder.model_name, or '
                'set pretrained=False with a config to train it from '
                f'nothing. Reason: {e}') from e

    def _build(self, config: dict) -> None:
        from transformers import AutoConfig, AutoModel
        fields = dict(config)
        if 'model_type' not in fields:
            raise ValueError("HFTextEncoder: config lacks 'model_type'")
        hf_config = AutoConfig.for_model(fields.pop('model_type'), **fields)
        try:
            self.model = AutoModel.from_config(
                hf_config, add_pooling_layer=False)
        except TypeError:
            self.model = AutoModel.from_config(hf_config)
        self.tokenizer = HashTokenizer(vocab_size=hf_config.vocab_size)

    # ------------------------------------------------------------- freezing
    def _freeze(self) -> None:
        self.model.requires_grad_(False)
        self.model.eval()
        self._register_state_dict_hook(self._drop_model)
        self._register_load_state_dict_pre_hook(self._fill_model)

    def _drop_model(self, module: nn.Module, state_dict: Dict[str, Tensor],
                    prefix: str, local_metadata: dict) -> None:
        """A frozen model is not part of a checkpoint."""
        for key in [k for k in state_dict if k.startswith(f'{prefix}model.')]:
            del state_dict[key]

    def _fill_model(self, state_dict: Dict[str, Tensor], prefix: str,
                    *args) -> None:
        """So that its absence there is not reported as missing keys."""
        for key, value in self.model.state_dict().items():
            state_dict.setdefault(f'{prefix}model.{key}', value)

    def train(self, mode: bool = True) -> 'HFTextEncoder':
        """A parent's train() would turn a frozen model's dropout back on."""
        super().train(mode)
        if self.frozen:
            self.model.eval()
        return self

    # -------------------------------------------------------------- forward
    def forward(self, sentences: Sequence[str]) -> TextFeatures:
        """Encode sentences.

        Args:
            sentences (Sequence[str]): B sentences.

        Returns:
            TextFeatures: Tokens (B, L, C) and their mask (B, L).

        Raises:
            ValueError: If a sentence is empty.
        """
        for i, sentence in enumerate(sentences):
            if not sentence.strip():
                raise ValueError(f'sentence {i} of the batch is empty')
        distinct = sorted(set(sentences))
        rows = torch.tensor([distinct.index(s) for s in sentences])
        hidden, mask = self._encode(distinct)
        rows = rows.to(mask.device)
        tokens = self.dropout(self.norm(self.proj(hidden)))
        return TextFeatures(tokens[rows], mask[rows])

    def _encode(self, sentences: Sequence[str]):
        """Last hidden state (N, L, hidden) and mask (N, L)."""
        if self.lower:
            sentences = [s.lower() for s in sentences]
        batch = self.tokenizer(
            list(sentences),
            padding=True,
            truncation=True,
            max_length=self.max_length,
            return_tensors='pt')
        device = self.proj.weight.device
        ids = batch['input_ids'].to(device, non_blocking=True)
        attention = batch['attention_mask'].to(device, non_blocking=True)
        with torch.set_grad_enabled(torch.is_grad_enabled()
                                    and not self.frozen):
            out = self.model(input_ids=ids, attention_mask=attention)
        return out.last_hidden_state, attention == 0
