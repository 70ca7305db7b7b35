# Copyright (c) costa_mm authors. All rights reserved.
"""What all text encoders share: sentences to features of words."""
from abc import ABCMeta, abstractmethod
from typing import Dict, List, NamedTuple, Optional, Sequence, Union

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn

from costa_mm.registry import MODELS
from costa_mm.structures import TextFeatures


class TextTokens(NamedTuple):
    """Sentences as numbers, on the device of the model.

    N distinct sentences of B, each of at most L tokens.

    Attributes:
        ids (Tensor): (N, L), int64, padded at the end.
        mask (Tensor, optional): True on padding, (N, L), bool; None where
            nothing is padded.
        rows (Tensor, optional): Row of every sentence of the batch, (B, ),
            int64; None where row i is sentence i.
    """
    ids: Tensor
    mask: Optional[Tensor] = None
    rows: Optional[Tensor] = None


class BaseTextEncoder(BaseModule, metaclass=ABCMeta):
    """A language model, then linear, LayerNorm and dropout to C channels.

    The flow, whose first step needs the host and whose second does not::

        sentences --tokenize--> TextTokens --encode--> TextFeatures

        tokenize: lower case, distinct sentences, :meth:`sentence_ids`, padding
        encode:   :meth:`hidden_states`, :meth:`project`, :meth:`per_sentence`

    A subclass builds its language model, hands it over, and says with
    :meth:`sentence_ids` and :meth:`run_model` how it reads and runs.  One
    that returns more than words overrides :meth:`encode`.

    Args:
        model (nn.Module): The language model.
        hidden_size (int): Channels of its output.
        out_channels (int, optional): C; None leaves out linear, LayerNorm and
            dropout, so that C is ``hidden_size``.
        frozen (bool): Keep the language model out of training: in eval mode,
            without gradients, and out of saved checkpoints.
        dropout (float): Dropout of the output.
        lower (bool): Whether to lower-case sentences first.
    """

    pad_id = 0
    """int: What stands in ``TextTokens.ids`` on padding."""
    reads_meta: Dict[str, str] = {}
    """dict: Further arguments of :meth:`tokenize`, each a list with one item
    per sentence, and what of a sample's meta information goes into them."""

    def __init__(self,
                 *,
                 model: nn.Module,
                 hidden_size: int,
                 out_channels: Optional[int] = 256,
                 frozen: bool = False,
                 dropout: float = 0.1,
                 lower: bool = True) -> None:
        super().__init__()
        self.model = model
        self.proj = None
        if out_channels is not None:
            self.proj = nn.Linear(hidden_size, out_channels)
            self.norm = nn.LayerNorm(out_channels, eps=1e-12)
            self.dropout = nn.Dropout(dropout)
        self.frozen = frozen
        self.lower = lower
        #: Whether ``model`` is what the config makes of it, any time.
        self.as_built = frozen
        if frozen:
            self._freeze()

    # ----------------------------------------------------- for subclasses
    @abstractmethod
    def sentence_ids(self, sentences: List[str]) -> List[List[int]]:
        """Token ids of distinct sentences, begin and end included.

        Args:
            sentences (list[str]): Checked, and lower-cased where asked for.

        Returns:
            list[list[int]]: Without padding.
        """

    @abstractmethod
    def run_model(self, ids: Tensor, mask: Optional[Tensor]) -> Tensor:
        """Run the language model.

        Args:
            ids (Tensor): (N, L), int64.
            mask (Tensor, optional): True on padding, (N, L), bool; None where
                nothing is padded.

        Returns:
            Tensor: (N, L, hidden_size).
        """

    @classmethod
    def without_weights(cls, config: dict) -> dict:
        """Config of an encoder of the same size that reads no weights.

        Args:
            config (dict): Config of this class; unchanged.

        Returns:
            dict: The same here, for encoders that have no weights to read.

        Raises:
            KeyError: In subclasses, if the size is not known without files.
        """
        return dict(config)

    def save_tokenizer(self, folder: str) -> None:
        """Write what turns a sentence into ids, for use without costa_mm.

        Raises:
            ValueError: If there are no such files.
        """
        raise ValueError(f'{type(self).__name__} has no tokenizer files')

    # -------------------------------------------------------------- steps
    def forward(self, sentences: Sequence[str]) -> TextFeatures:
        """Both steps at once.

        Args:
            sentences (Sequence[str]): B sentences.

        Returns:
            TextFeatures: Words (B, L, C) and their mask (B, L).

        Raises:
            ValueError: If a sentence is empty or no text.
        """
        return self.encode(self.tokenize(sentences))

    def tokenize(
            self,
            sentences: Sequence[str],
            device: Optional[Union[str, torch.device]] = None) -> TextTokens:
        """Sentences to ids; nothing waits for the device.

        Every distinct sentence gets one row.  Whether anything is padded is
        decided from lengths here, because a mask on a GPU would have to be
        waited for.

        Args:
            sentences (Sequence[str]): B sentences.
            device (str or torch.device, optional): Where to put the ids; by
                default where the encoder is.

        Raises:
            ValueError: If a sentence is empty or no text.
        """
        for i, sentence in enumerate(sentences):
            check_sentence(sentence, f'sentence {i} of the batch')
        distinct = sorted(set(sentences))
        ids = self.sentence_ids(
            [s.lower() for s in distinct] if self.lower else distinct)
        tokens = pad_ids(ids, self.pad_id)
        if distinct != list(sentences):
            rows = [distinct.index(s) for s in sentences]
            tokens = tokens._replace(rows=torch.tensor(rows))
        if device is None:
            device = next(self.parameters()).device
        return TextTokens(*(x if x is None else x.to(
            device, non_blocking=True) for x in tokens))

    def encode(self, tokens: TextTokens) -> TextFeatures:
        """Ids to features of words.

        Args:
            tokens (TextTokens): From :meth:`tokenize`.

        Returns:
            TextFeatures: Words (B, L, C) and their mask (B, L).
        """
        words = self.project(self.hidden_states(tokens))
        mask = tokens.mask
        if mask is None:
            mask = torch.zeros_like(tokens.ids, dtype=torch.bool)
        return TextFeatures(
            self.per_sentence(words, tokens), self.per_sentence(mask, tokens))

    def hidden_states(self, tokens: TextTokens) -> Tensor:
        """Output of the language model, (N, L, hidden_size).

        Without gradients where it is frozen.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled()
                                    and not self.frozen):
            return self.run_model(tokens.ids, tokens.mask)

    def project(self, hidden: Tensor) -> Tensor:
        """(..., hidden_size) to (..., C)."""
        if self.proj is None:
            return hidden
        return self.dropout(self.norm(self.proj(hidden)))

    @staticmethod
    def per_sentence(rows: Tensor, tokens: TextTokens) -> Tensor:
        """What belongs to distinct sentences, (N, ...), to (B, ...)."""
        return rows if tokens.rows is None else rows[tokens.rows]

    # ----------------------------------------------------------- freezing
    def train(self, mode: bool = True) -> 'BaseTextEncoder':
        """A parent's train() would turn a frozen model's dropout back on."""
        super().train(mode)
        if self.frozen:
            self.model.eval()
        return self

    def _freeze(self) -> None:
        self.model.requires_grad_(False)
        self.model.eval()
        self._register_state_dict_hook(self._drop_model)
        self._register_load_state_dict_pre_hook(self._fill_model)

    @staticmethod
    def _drop_model(module: 'BaseTextEncoder', state_dict: Dict[str, Tensor],
                    prefix: str, local_metadata: dict) -> None:
        """A frozen model that can be built again is not in a checkpoint."""
        for key in list(state_dict) if module.as_built else ():
            if key.startswith(f'{prefix}model.'):
                del state_dict[key]

    def _fill_model(self, state_dict: Dict[str, Tensor], prefix: str,
                    *args) -> None:
        """Take a whole model or none, whose absence is no missing key."""
        own = {
            f'{prefix}model.{k}': v
            for k, v in self.model.state_dict().items()
        }
        given = {k: state_dict.pop(k) for k in own if k in state_dict}
        if given and [v.shape for v in given.values()
                      ] != [v.shape for v in own.values()]:
            print_log(
                'the weights hold another text encoder than the frozen one '
                'of the config, which stays as it is', 'current', 30)
            given = {}
        for key, value in given.items():
            if not torch.equal(value, own[key].to(value)):
                self.as_built = False
        state_dict.update(given or own)


def check_sentence(sentence: str, where: str) -> None:
    """Refuse what no tokenizer can read.

    Args:
        sentence (str): Any sentence.
        where (str): What to call it in the message.

    Raises:
        ValueError: If it is no text, empty, or holds half a character, as
            JSON's ``"\\ud83d"`` does.
    """
    if not isinstance(sentence, str):
        raise ValueError(f'{where} is no text but {sentence!r}')
    if not sentence.strip():
        raise ValueError(f'{where} is empty')
    for position, character in enumerate(sentence):
        if '\ud800' <= character <= '\udfff':
            raise ValueError(
                f'{where}, {ascii(sentence)}, holds half a character (a lone '
                f'surrogate) at position {position}: write the whole '
                'character or remove it')


def pad_ids(ids: List[List[int]], pad_id: int) -> TextTokens:
    """Rows of different lengths to one tensor and, where needed, a mask."""
    lengths = [len(row) for row in ids]
    longest = max(lengths)
    padded = torch.tensor(
        [row + [pad_id] * (longest - len(row)) for row in ids])
    if min(lengths) == longest:
        return TextTokens(padded)
    mask = torch.arange(longest) >= torch.tensor(lengths)[:, None]
    return TextTokens(padded, mask)


def without_weights(text_encoder: dict) -> dict:
    """The same text encoder, made from a config alone.

    For counting, and for tools that bring the weights themselves: no weights
    are read and no hub is asked.

    Args:
        text_encoder (dict): Config of a :class:`BaseTextEncoder`; unchanged.

    Returns:
        dict: Its config, see :meth:`BaseTextEncoder.without_weights`.

    Raises:
        KeyError: If its size is not known without its files.
    """
    kind = MODELS.get(text_encoder.get('type', 'HFTextEncoder'))
    return kind.without_weights(text_encoder)
