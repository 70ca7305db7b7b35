# Copyright (c) costa_mm authors. All rights reserved.
"""Folders of tiny Hugging Face models, made on the spot."""
import json

import torch
from transformers import BertConfig, BertModel

WORDS = [
    '[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'the', 'red', 'ball', 'man',
    'woman', 'left', 'walks'
]
BERT = dict(
    vocab_size=len(WORDS),
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=24)
ROBERTA = dict(
    vocab_size=40,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=20)


def write_bert_words(folder, words=WORDS):
    """Tokenizer files: a vocabulary, and which class reads it."""
    (folder / 'vocab.txt').write_text('\n'.join(words))
    (folder / 'tokenizer_config.json').write_text(
        '{"tokenizer_class": "BertTokenizer"}')


def bert_folder(folder, seed=0, model_class=BertModel, **config):
    """A BERT with tokenizer; returns the model."""
    torch.manual_seed(seed)
    model = model_class(BertConfig(**BERT | config))
    model.save_pretrained(folder)
    write_bert_words(folder)
    return model


def write_roberta_words(folder):
    """Tokenizer files of byte pairs."""
    words = [
        '<s>', '<pad>', '</s>', '<unk>', '<mask>', *'abcdehlrt', '\u0120',
        're', 'red'
    ]
    vocab = {word: i for i, word in enumerate(words)}
    (folder / 'vocab.json').write_text(json.dumps(vocab))
    (folder / 'merges.txt').write_text('#version: 0.2\nr e\nre d\n')
    (folder / 'tokenizer_config.json').write_text(
        '{"tokenizer_class": "RobertaTokenizer"}')
