# Copyright (c) costa_mm authors. All rights reserved.
import copy

import pytest
import torch
from tiny_model import C, build, text_cfg
from torch import nn
from torch.testing import assert_close

from costa_mm.engine.checkpoint_io import compare_weights, load_weights
from costa_mm.models import HFTextEncoder
from costa_mm.models.text_encoders import base_text_encoder
from costa_mm.utils.building import weights_follow
from .folders import ROBERTA, bert_folder, write_roberta_words

SENTENCES = ['a man walks to the left', 'the red ball']


def test_shapes_and_mask():
    out = build(text_cfg())(SENTENCES)
    assert out.tokens.shape == (2, 8, C)  # begin, 6 words, end
    assert (~out.mask).sum(1).tolist() == [8, 5]


def test_output_is_projected_and_normalised():
    encoder = build(text_cfg())
    encoder.norm.weight.data.fill_(1.)
    encoder.norm.bias.data.zero_()
    tokens = encoder(SENTENCES[:1]).tokens
    assert_close(tokens.mean(-1), torch.zeros(1, 8), atol=1e-5, rtol=0)
    assert_close(tokens.var(-1, unbiased=False), torch.ones(1, 8))


def test_padded_words_change_nothing():
    encoder = build(text_cfg())
    both = encoder(SENTENCES)
    alone = encoder(SENTENCES[1:])
    assert_close(both.tokens[1, :5], alone.tokens[0], atol=1e-5, rtol=1e-4)


def test_distinct_sentences_are_encoded_once():
    encoder = build(text_cfg())
    seen = []
    before = encoder.tokenizer

    def tokenizer(texts, **kwargs):
        seen.append(list(texts))
        return before(texts, **kwargs)

    encoder.tokenizer = tokenizer
    one, other = SENTENCES
    out = encoder([other, one, other])
    assert len(seen) == 1 and sorted(seen[0]) == sorted(SENTENCES)
    assert torch.equal(out.tokens[0], out.tokens[2])
    assert_close(out.tokens[1], encoder([one]).tokens[0])
    assert out.mask[0].tolist() == out.mask[2].tolist()


def test_case_matters_only_if_asked_for():
    encoder = build(text_cfg())
    before, seen = encoder.tokenizer, []
    encoder.tokenizer = lambda texts, **k: seen.append(texts) or before(
        texts, **k)
    encoder(['The Ball'])
    encoder.lower = False
    encoder(['The Ball'])
    assert seen == [['the ball'], ['The Ball']]


def test_long_sentences_are_cut():
    out = build(text_cfg(max_length=6))(['word ' * 40])
    assert out.tokens.shape[1] == 6


class Parent(nn.Module):
    """Whatever holds an encoder."""

    def __init__(self, encoder):
        super().__init__()
        self.text_encoder = encoder


def test_a_frozen_model_stays_in_eval_mode_and_gets_no_gradient():
    config = text_cfg()['config'] | dict(hidden_dropout_prob=0.5)
    parent = Parent(build(text_cfg(frozen=True, config=config)))
    parent.train()
    encoder = parent.text_encoder
    assert encoder.training and not encoder.model.training
    one, other = encoder(SENTENCES), encoder(SENTENCES)
    assert torch.equal(one.tokens, other.tokens)
    one.tokens.sum().backward()
    assert all(p.grad is None and not p.requires_grad
               for p in encoder.model.parameters())
    assert encoder.proj.weight.grad is not None


def test_a_trained_models_dropout_is_on_in_training():
    config = text_cfg()['config'] | dict(hidden_dropout_prob=0.5)
    encoder = build(text_cfg(config=config)).train()
    assert not torch.equal(
        encoder(SENTENCES).tokens, encoder(SENTENCES).tokens)


def test_the_output_is_dropped_in_training_even_if_the_model_is_frozen():
    encoder = build(text_cfg(frozen=True, dropout=0.5)).train()
    share = (encoder(SENTENCES).tokens == 0).float().mean().item()
    assert 0.3 < share < 0.7
    assert encoder.eval()(SENTENCES).tokens.all()


def of_model(state):
    return [k for k in state if k.startswith('text_encoder.model.')]


def test_a_frozen_model_is_not_in_the_state_dict(roberta_folder):
    cfg = dict(type='costa_mm.HFTextEncoder', out_channels=C, frozen=True,
               model_name=str(roberta_folder[0]))
    parent = Parent(build(cfg))
    state = parent.state_dict()
    assert set(state) == {
        f'text_encoder.{n}'
        for n in ('proj.weight', 'proj.bias', 'norm.weight', 'norm.bias')
    }
    before = parent.text_encoder.model.state_dict()
    other = Parent(build(cfg, seed=1))
    result = other.load_state_dict(state)  # strict
    assert not result.missing_keys and not result.unexpected_keys
    assert_close(other.text_encoder.proj.weight,
                 parent.text_encoder.proj.weight)
    for name, value in parent.text_encoder.model.state_dict().items():
        assert torch.equal(value, before[name])
    # nor is it after a checkpoint that holds the very same
    full = {**state, **{f'text_encoder.model.{k}': v
                        for k, v in before.items()}}
    other.load_state_dict(full)
    assert not of_model(other.state_dict())


@pytest.mark.parametrize('copied', [False, True])
def test_a_frozen_model_that_others_have_trained(roberta_folder, copied):
    """What a checkpoint brings is what the next checkpoint holds."""
    cfg = dict(type='costa_mm.HFTextEncoder', out_channels=C,
               model_name=str(roberta_folder[0]))
    trained = Parent(build(cfg))
    torch.nn.init.normal_(trained.text_encoder.model.encoder.layer[0]
                          .output.dense.weight)
    frozen = Parent(build(dict(cfg, frozen=True)))
    if copied:  # as averaging does
        frozen = copy.deepcopy(frozen)
    load_weights(frozen, trained.state_dict(), 'a.pth', whole=False)
    state = frozen.state_dict()
    assert state.keys() == trained.state_dict().keys()
    again = Parent(build(dict(cfg, frozen=True)))
    assert not any(compare_weights(again, state).values())
    load_weights(again, state, 'b.pth', whole=True)
    for parent in (frozen, again):
        parent.eval()
        assert torch.equal(parent.text_encoder(SENTENCES).tokens,
                           trained.eval().text_encoder(SENTENCES).tokens)


def test_a_frozen_model_drawn_at_random_is_in_the_state_dict():
    """Nobody could draw it again."""
    parent, other = (Parent(build(text_cfg(frozen=True), seed=i))
                     for i in range(2))
    load_weights(other, parent.state_dict(), 'a.pth', whole=True)
    assert torch.equal(parent.eval().text_encoder(SENTENCES).tokens,
                       other.eval().text_encoder(SENTENCES).tokens)


def test_a_frozen_model_never_becomes_half_another(roberta_folder,
                                                    monkeypatch):
    said = []
    monkeypatch.setattr(base_text_encoder, 'print_log',
                        lambda message, *args: said.append(message))
    cfg = dict(type='costa_mm.HFTextEncoder', out_channels=C,
               model_name=str(roberta_folder[0]))
    torch.manual_seed(1)
    state = {k: torch.rand_like(v)
             for k, v in Parent(build(cfg)).state_dict().items()
             if 'layer.0.output' not in k}
    frozen = Parent(build(dict(cfg, frozen=True)))
    before = copy.deepcopy(frozen.text_encoder.model.state_dict())
    load_weights(frozen, state, 'a.pth', whole=False)
    assert ['another text encoder than the frozen one' in m
            for m in said] == [True]
    for name, value in frozen.text_encoder.model.state_dict().items():
        assert torch.equal(value, before[name])
    assert not of_model(frozen.state_dict())


def test_a_trained_model_is_in_the_state_dict():
    state = build(text_cfg()).state_dict()
    assert any(k.startswith('model.encoder.layer.1') for k in state)
    assert not any('pooler' in k for k in state)


def test_every_parameter_gets_a_gradient():
    encoder = build(text_cfg()).train()
    encoder(SENTENCES).tokens.pow(3).sum().backward()
    assert [n for n, p in encoder.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize('kwargs', [
    dict(config=None),
    dict(pretrained=True),
])
def test_config_if_and_only_if_not_pretrained(kwargs):
    with pytest.raises(ValueError, match='if and only if'):
        build(text_cfg(**kwargs))


def test_config_needs_a_model_type():
    with pytest.raises(ValueError, match='model_type'):
        build(text_cfg(config=dict(hidden_size=8)))


def test_missing_weights_are_said_in_one_error(tmp_path):
    folder = tmp_path / 'no-weights'
    folder.mkdir()
    with pytest.raises(OSError) as info:
        HFTextEncoder(model_name=str(folder))
    text = str(info.value)
    assert str(folder) in text and 'pretrained=False' in text
    assert 'text_encoder.model_name' in text


def test_weights_from_a_folder_are_float32_without_pooler(tmp_path):
    model = bert_folder(tmp_path).half()
    model.save_pretrained(tmp_path)
    encoder = HFTextEncoder(model_name=str(tmp_path), out_channels=C).eval()
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}
    assert getattr(encoder.model, 'pooler', None) is None
    assert_close(encoder.model.embeddings.word_embeddings.weight,
                 model.float().embeddings.word_embeddings.weight)
    assert encoder(['the ball']).tokens.shape == (1, 4, C)
    encoder.save_tokenizer(tmp_path / 'tokenizer')
    assert (tmp_path / 'tokenizer' / 'tokenizer.json').is_file()


def test_a_sentence_of_unknown_words_is_told_once(tmp_path, warnings):
    bert_folder(tmp_path)
    encoder = HFTextEncoder(model_name=str(tmp_path), out_channels=C).eval()
    warnings.clear()
    for _ in range(2):
        encoder(['der mann geht', 'the man'])
    warning, = warnings
    assert warning == ("the text encoder knows no word of the sentence 'der "
                       "mann geht'")


@pytest.fixture
def roberta_folder(tmp_path):
    """A tiny roberta-base as published: masked-LM names, no pooler."""
    from transformers import RobertaConfig, RobertaForMaskedLM
    torch.manual_seed(0)
    model = RobertaForMaskedLM(RobertaConfig(**ROBERTA))
    model.save_pretrained(tmp_path)
    write_roberta_words(tmp_path)
    return tmp_path, model.roberta


def test_roberta_from_a_folder(roberta_folder):
    folder, published = roberta_folder
    encoder = HFTextEncoder(model_name=str(folder), out_channels=C).eval()
    # MMEngine's runner does this before training
    encoder.init_weights()
    own = encoder.model.state_dict()
    assert own.keys() == published.state_dict().keys()
    for name, value in published.state_dict().items():
        assert torch.equal(own[name], value), name
    ids = encoder.tokenizer(['a red ball'])['input_ids'][0]
    assert ids[0] == 0 and ids[-1] == 2  # begin and end, as RoBERTa has them
    out = encoder(['a red ball', 'a tree'])
    assert out.tokens.shape == (2, len(ids), C)
    assert out.mask[1].any() and not out.mask[0].any()


@pytest.mark.parametrize('frozen', [False, True])
def test_weights_that_follow_are_not_read(roberta_folder, frozen):
    """Tokenizer and config are; of a frozen model no checkpoint has them."""
    folder, _ = roberta_folder
    whole = HFTextEncoder(model_name=str(folder), frozen=frozen).state_dict()
    (folder / 'model.safetensors').unlink()
    with pytest.raises(OSError):
        HFTextEncoder(model_name=str(folder), frozen=frozen)
    with weights_follow():
        if frozen:
            with pytest.raises(OSError):
                HFTextEncoder(model_name=str(folder), frozen=True)
            return
        encoder = HFTextEncoder(model_name=str(folder))
    assert encoder.state_dict().keys() == whole.keys()
    encoder.load_state_dict(whole)
    assert encoder.tokenizer(['a red ball'])['input_ids'][0][0] == 0
    with weights_follow(False), pytest.raises(OSError):
        HFTextEncoder(model_name=str(folder))


def test_lower_layers_without_projection():
    whole = build(text_cfg())
    cut = build(text_cfg(num_layers=1, out_channels=None))
    assert cut.proj is None and cut.model.config.num_hidden_layers == 1
    names = set(dict(cut.named_parameters()))
    assert names < set(dict(whole.named_parameters()))
    assert not any('layer.1.' in n for n in names)
    cut.load_state_dict(
        {n: whole.get_parameter(n) for n in names}, strict=False)
    hidden = []
    whole.model.encoder.layer[0].register_forward_hook(
        lambda module, args, out: hidden.append(
            out[0] if isinstance(out, tuple) else out))
    whole(SENTENCES[:1])
    assert_close(cut(SENTENCES[:1]).tokens, hidden[0])


@pytest.mark.parametrize('num', [0, 3])
def test_layers_that_are_not_there(num):
    with pytest.raises(ValueError, match=f'num_layers={num}: .* has 2'):
        build(text_cfg(num_layers=num))
