# Copyright (c) costa_mm authors. All rights reserved.
import pytest
from tiny_model import build, text_cfg

from costa_mm.models.text_encoders.tokenization import HashTokenizer


def test_words_have_fixed_numbers():
    tokenize = HashTokenizer(vocab_size=1000)
    one, other = tokenize(['A red ball.', 'a ball'])['input_ids']
    assert len(one) == 6  # begin, 3 words, a dot, end
    assert len(other) == 4
    assert one[0] == 0 and one[-1] == 2
    assert one[1] == other[1] and one[3] == other[2]  # a, ball
    assert min(one[1:5]) >= 4 and max(one) < 1000
    again = HashTokenizer(vocab_size=1000)(['a red ball.'])
    assert again['input_ids'] == [one]


def test_long_sentences_are_cut():
    ids, = HashTokenizer(vocab_size=50)(
        ['a b c d e f'], max_length=4, truncation=True)['input_ids']
    assert len(ids) == 4


def test_a_vocabulary_needs_room():
    with pytest.raises(ValueError):
        HashTokenizer(vocab_size=4)


def test_it_has_no_files(tmp_path):
    with pytest.raises(ValueError, match='no tokenizer files'):
        build(text_cfg()).save_tokenizer(tmp_path)
