# Copyright (c) costa_mm authors. All rights reserved.
"""Whom a sentence is about, and how the encoder hears of it."""
import pytest
import torch
from tiny_model import grounder_cfg, text_cfg

from costa_mm.models.text_encoders import parse_subject
from costa_mm.registry import MODELS


@pytest.mark.parametrize('subject, sentence', [
    ('man', 'The man in the red shirt walks to the table.'),
    ('woman', 'A woman wearing a hat stands up and leaves.'),
    ('man', 'In the room, the man turns around.'),
    ('woman', 'On the sofa sits a woman'),
    ('girl', 'Behind the boy the girl jumps.'),
    ('man', 'The bearded man sits down and drinks'),
    ('soldier', 'The tall soldier, who is armed, runs.'),
    ('dog', 'there is a dog chasing a ball'),
    ('men', 'the two men shake hands'),
    ('square', 'the red square moves left'),
    ('circle', 'a small green circle rotates clockwise'),
    ('lizard', 'A Lizard!'),
    ('', 'who is holding the dog'),
    ('', 'What does the adult in black hold?'),
    ('', 'is walking'),
    ('', '?'),
])
def test_subject(subject, sentence):
    assert parse_subject(sentence) == subject


def encoder(**kwargs):
    torch.manual_seed(0)
    model = MODELS.build(
        text_cfg(type='costa_mm.SubjectTextEncoder', **kwargs))
    return model.eval()


def plain(sentences):
    torch.manual_seed(0)
    return MODELS.build(text_cfg()).eval()(sentences)


def equal(one, other):
    torch.testing.assert_close(one.tokens, other.tokens)
    assert torch.equal(one.mask, other.mask)


def test_the_subject_is_read_first():
    sentences = ['The man walks', 'who walks']
    equal(encoder()(sentences), plain(['man The man walks', 'who walks']))
    equal(
        encoder()(sentences, [None, 'dog']),
        plain(['man The man walks', 'dog who walks']))
    # '' says that there is none
    equal(encoder()(sentences, ['', '']), plain(sentences))
    equal(encoder(parse=False)(sentences), plain(sentences))
    equal(
        encoder(parse=False)(sentences, ['boy', None]),
        plain(['boy The man walks', 'who walks']))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match='2 sentences have 1 subjects'):
        encoder()(['a', 'b'], ['c'])
    with pytest.raises(ValueError, match='sentence 0 of the batch is empty'):
        encoder()([' '], ['man'])


def test_a_sample_says_its_subject():
    """The grounder hands it over, where samples have one."""
    torch.manual_seed(0)
    model = MODELS.build(
        grounder_cfg(
            text_encoder=text_cfg(type='costa_mm.SubjectTextEncoder')))
    model.eval()
    metas = [
        dict(sentence='who walks', subject='dog'),
        dict(sentence='the man walks')
    ]
    found = model.encode_queries(metas)
    model.text_encoder.parse = False
    equal(found,
          model.encode_text(['dog who walks', 'man the man walks']))
