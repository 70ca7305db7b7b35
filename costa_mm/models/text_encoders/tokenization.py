# Copyright (c) costa_mm authors. All rights reserved.
"""A tokenizer that needs no files, and checks of those that do."""
import re
import zlib
from typing import Dict, List, Sequence

from mmengine.logging import print_log

# of sentences of this field; a tokenizer without files knows none of them
COMMON_WORDS = ('the', 'man', 'woman', 'red', 'ball', 'left', 'right', 'dog')


class HashTokenizer:
    """Maps every word to a number by its hash; for models without files.

    With random weights any injective map of words will do.  The ids 0 to 3
    are kept for begin, padding, end and unknown, as RoBERTa has them.

    Args:
        vocab_size (int): Number of ids.

    Raises:
        ValueError: If there is no room for a word.
    """

    pad_token_id = 1
    unk_token_id = 3
    all_special_ids = (0, 1, 2, 3)

    def __init__(self, *, vocab_size: int) -> None:
        if vocab_size < 5:
            raise ValueError(f'vocab_size must be at least 5: {vocab_size}')
        self.vocab_size = vocab_size

    def __call__(self, texts: Sequence[str],
                 **kwargs) -> Dict[str, List[List[int]]]:
        """Token ids of texts, not padded, by the name 'input_ids'.

        Args:
            texts (Sequence[str]): Sentences.
            **kwargs: Options of Hugging Face tokenizers: 'max_length' counts
                where 'truncation' is true, others are ignored.
        """
        limit = kwargs['max_length'] if kwargs.get('truncation') else None
        return dict(input_ids=[self._ids(text)[:limit] for text in texts])

    def _ids(self, text: str) -> List[int]:
        words = re.findall(r'\w+|[^\w\s]', text.lower())
        room = self.vocab_size - 4
        return [0] + [4 + zlib.crc32(w.encode()) % room for w in words] + [2]


def check_tokenizer(tokenizer, name: str, num_embeddings: int) -> None:
    """Whether a tokenizer is whole and belongs to a model.

    transformers makes one that knows no word where files are missing.

    Args:
        tokenizer (PreTrainedTokenizerBase): The tokenizer.
        name (str): Folder or hub name, for messages.
        num_embeddings (int): Rows of the model's table of words.

    Raises:
        OSError: If it cannot tell common words apart, or cuts words that it
            has as a whole: files are missing or incomplete.
        ValueError: If its numbers and the table do not fit.
    """
    ids = tokenizer(list(COMMON_WORDS), add_special_tokens=False)['input_ids']
    if len({tuple(row) for row in ids}) < 2:
        raise OSError(
            f'the tokenizer of {name!r} cannot tell common words apart '
            f'({", ".join(COMMON_WORDS[:3])} all become {ids[0]}): its files '
            'are missing. Put tokenizer.json, or the vocabulary (vocab.txt; '
            'vocab.json and merges.txt; spiece.model) with '
            'tokenizer_config.json, beside the weights')
    vocabulary = tokenizer.get_vocab()
    whole = [
        len(row) == 1 for word, row in zip(COMMON_WORDS, ids)
        if {word, f'\u2581{word}', f'{word}</w>'} & vocabulary.keys()
    ]
    if whole and sum(whole) < len(whole) / 2:
        raise OSError(
            f'the tokenizer of {name!r} cuts {len(whole) - sum(whole)} of '
            f'{len(whole)} common words into pieces although its vocabulary '
            'has them: merges.txt or tokenizer.json is incomplete')
    _check_size(vocabulary, name, num_embeddings)


def _check_size(vocabulary: Dict[str, int], name: str,
                num_embeddings: int) -> None:
    """Every word has a row, and (nearly) every row of a real table a word."""
    word, largest = max(vocabulary.items(), key=lambda item: item[1])
    if largest >= num_embeddings:
        raise ValueError(
            f'the tokenizer of {name!r} is not that of its model: it numbers '
            f'{word!r} as {largest}, and the model has embeddings for '
            f'{num_embeddings} numbers only')
    if len(vocabulary) >= 0.9 * num_embeddings:
        return
    message = (f'the tokenizer of {name!r} has {len(vocabulary)} words and '
               f'pieces, its model embeddings for {num_embeddings}: it is '
               'incomplete or that of another model')
    if num_embeddings > 1000:  # small tables are rounded up
        raise ValueError(message)
    print_log(message, logger='current', level=30)
