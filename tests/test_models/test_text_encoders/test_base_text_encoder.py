# Copyright (c) costa_mm authors. All rights reserved.
"""Two steps, what they do to sentences, and encoders of one's own."""
import json

import pytest
import torch
from tiny_model import build, grounder_cfg, make_batch, text_cfg
from torch import nn
from torch.testing import assert_close

from costa_mm.models import BaseTextEncoder, HFTextEncoder
from costa_mm.models.text_encoders import TextTokens, without_weights
from costa_mm.registry import MODELS
from costa_mm.structures import TextFeatures

SENTENCES = ['a man walks', 'the ball', 'a man walks']


class LetterModel(BaseTextEncoder):
    """A letter is a word, and a table is the language model."""

    def __init__(self, hidden_size=4, **kwargs):
        super().__init__(model=nn.Embedding(256, hidden_size),
                         hidden_size=hidden_size, **kwargs)

    def sentence_ids(self, sentences):
        return [list(s.encode()) for s in sentences]

    def run_model(self, ids, mask):
        return self.model(ids)


class PooledLetterModel(LetterModel):
    """A first word more, the mean of all."""

    def encode(self, tokens):
        words = self.hidden_states(tokens)
        mean = words.mean(1, keepdim=True)
        features = super().encode(tokens)
        first = self.per_sentence(self.project(mean), tokens)
        return features._replace(
            tokens=torch.cat([first, features.tokens], 1),
            mask=nn.functional.pad(features.mask, (1, 0)))


def test_two_steps_are_one():
    encoder = build(text_cfg())
    tokens = encoder.tokenize(SENTENCES)
    assert isinstance(tokens, TextTokens)
    assert tokens.ids.shape == (2, 5) and tokens.rows.tolist() == [0, 1, 0]
    assert tokens.mask.tolist() == [[False] * 5, [False] * 4 + [True]]
    out, whole = encoder.encode(tokens), encoder(SENTENCES)
    assert isinstance(out, TextFeatures)
    assert torch.equal(out.tokens, whole.tokens)
    assert torch.equal(out.mask, whole.mask)


def test_tokens_go_where_they_are_asked_to():
    tokens = build(text_cfg()).tokenize(SENTENCES, 'meta')
    assert [x.device.type for x in tokens] == ['meta'] * 3


@pytest.mark.parametrize('sentences', [['a man'], ['a man', 'the dog']])
def test_no_mask_where_nothing_is_padded(sentences):
    encoder = build(text_cfg())
    seen = []
    encoder.model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs['attention_mask']),
        with_kwargs=True)
    out = encoder(sentences)
    assert seen == [None]
    assert not out.mask.any() and out.mask.shape == out.tokens.shape[:2]


def test_encoding_reads_no_value_from_the_device():
    # on this device a value that is read is an error
    encoder = build(text_cfg()).to('meta')
    for sentences in (['a man walks', 'a dog runs'], ['a man'] * 3):
        out = encoder.encode(encoder.tokenize(sentences))
        assert out.tokens.is_meta and len(out.tokens) == len(sentences)


@pytest.mark.parametrize('sentence, message', [
    ('  ', 'sentence 1 of the batch is empty'),
    (None, 'sentence 1 of the batch is no text but None'),
    (b'a man', "no text but b'a man'"),
    (json.loads('"the \\ud83d man"'), r"'the \\ud83d man'.*position 4"),
    (json.loads('"\\udc00"'), 'half a character .* position 0'),
])
def test_what_is_no_sentence(sentence, message):
    with pytest.raises(ValueError, match=message):
        build(text_cfg()).tokenize(['a man', sentence])


def test_a_whole_character_of_two_halves_is_read():
    sentence = json.loads('"the \\ud83d\\ude00 man"')
    assert build(text_cfg())([sentence]).tokens.shape[1] == 5


# ---------------------------------------------------------- longer sentences
@pytest.mark.parametrize('model_type, positions, tokens', [
    ('bert', 16, 16),
    ('roberta', 18, 16),  # positions count from the padding's number 1
    ('distilbert', 12, 12),
    ('gpt2', 14, 14),
])
def test_positions_bound_a_sentence(warnings, model_type, positions, tokens):
    config = text_cfg()['config'] | dict(
        model_type=model_type, max_position_embeddings=positions)
    encoder = build(text_cfg(config=config, max_length=99))
    sentence = 'the red circle ' * 20
    for _ in range(2):
        out = encoder([sentence, 'a dog'])
    assert out.tokens.shape[1] == tokens
    assert len(warnings) == 1  # of two calls
    assert f'the first {tokens} of 62 tokens' in warnings[0]
    assert 'the red circle the red' in warnings[0]


def test_a_sentence_that_just_fits_is_no_reason_to_warn(warnings):
    encoder = build(text_cfg(max_length=5))
    encoder(['one two three'])
    assert not warnings
    encoder(['one two three four'])
    assert 'the first 5 of 6 tokens' in warnings[0]


# -------------------------------------------------------------- one's own
@pytest.fixture
def letters():
    """The registered class, for the time of one test."""
    MODELS.register_module(name='LetterModel', module=LetterModel)
    yield dict(type='LetterModel', out_channels=16, dropout=0.)
    MODELS.module_dict.pop('LetterModel')


def test_an_encoder_of_ones_own_grounds_and_trains(letters):
    model = build(grounder_cfg(text_encoder=dict(letters, frozen=True)))
    losses = model.train()(**model.data_preprocessor(make_batch(), True),
                           mode='loss')
    sum(losses.values()).backward()
    encoder = model.text_encoder
    assert encoder.proj.weight.grad is not None
    assert encoder.model.weight.grad is None and not encoder.model.training
    assert 'text_encoder.model.weight' not in model.state_dict()
    assert without_weights(letters) == letters


def test_encode_may_return_more():
    encoder = PooledLetterModel(out_channels=8).eval()
    out = encoder(['abc', 'a', 'abc'])
    assert out.tokens.shape == (3, 4, 8) and out.mask.shape == (3, 4)
    assert out.mask[1].tolist() == [False, False, True, True]
    assert_close(out.tokens[:, 1:], LetterModel.encode(
        encoder, encoder.tokenize(['abc', 'a', 'abc'])).tokens)


def test_a_base_class_alone_reads_nothing():
    with pytest.raises(TypeError, match='abstract'):
        BaseTextEncoder(model=nn.Identity(), hidden_size=3)
    assert issubclass(HFTextEncoder, BaseTextEncoder)
