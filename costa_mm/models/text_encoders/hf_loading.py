# Copyright (c) costa_mm authors. All rights reserved.
"""Hugging Face models from folders, packages, the hub or a config alone.

transformers fills what it does not find with random numbers and says so in a
log; here whatever does not belong together is an error.
"""
import json
import os
import re
from contextlib import contextmanager
from typing import Dict, Iterator, List, Optional, Tuple

import torch
from mmengine.logging import print_log
from torch import nn

from costa_mm.utils.building import weights_will_follow
from costa_mm.utils.errors import first_line
from costa_mm.utils.packages import PACKAGE, package_path
from .tokenization import check_tokenizer
from .weight_files import check_files, file_of

# Hugging Face configs of the encoders that the shipped configs name
HUB_CONFIGS = {
    'roberta-base':
    dict(
        model_type='roberta',
        vocab_size=50265,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5),
    # what a BertConfig is made of by default
    'bert-base-uncased':
    dict(model_type='bert')
}
# no part of the output: poolers, and buffers that newer versions do not save
_UNUSED = re.compile(r'(^|\.)(\w*pooler|position_ids|token_type_ids)(\.|$)')
# what published checkpoints hold beside the encoder
_OTHER_PARTS = re.compile(
    r'(lm_head|lm_loss|cls|classifier|pre_classifier|predictions|score|'
    r'qa_outputs|vocab_\w+|mlm|discriminator_predictions|'
    r'generator_predictions|generator_lm_head|sop_classifier|decoder|'
    r'(vision|audio)_model|\w+_projection|logit_(scale|bias)|'
    r'final_logits_bias)(\.|$)')


def resolve_model_name(name: str) -> str:
    """Turn ``package://PACKAGE/FOLDER`` into the folder's path.

    Any other name is returned as it is: a hub name or a local folder.

    Raises:
        ModuleNotFoundError: If the package is not installed.
    """
    if not name.startswith(PACKAGE):
        return name
    return package_path(name, 'text encoder', 'another model_name')


def config_fields(name: str) -> dict:
    """Hugging Face config of a model, without its weights or a hub.

    Raises:
        KeyError: If the name is neither a folder nor known here.
    """
    if name in HUB_CONFIGS:
        return dict(HUB_CONFIGS[name])
    path = os.path.join(resolve_model_name(name), 'config.json')
    if not os.path.isfile(path):
        raise KeyError(f'the sizes of the text encoder {name!r} are not known '
                       f'without its files, only those of {list(HUB_CONFIGS)} '
                       'and of folders with a config.json')
    with open(path, encoding='utf-8') as f:
        return json.load(f)


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


# ------------------------------------------------------------ which class
def text_part(config) -> Tuple[object, type]:
    """The config of a model's text part, and the class that makes it.

    Models of text and pictures, as CLIP, hold a config of their own for text.
    Of encoder-decoder models transformers knows, for T5 and its relatives,
    the encoder alone.
    """
    from transformers import AutoModel, AutoModelForTextEncoding
    from transformers.models.auto.modeling_auto import \
        MODEL_FOR_TEXT_ENCODING_MAPPING
    config = getattr(config, 'text_config', None) or config
    if is_encoder_decoder(config) and \
            type(config) in MODEL_FOR_TEXT_ENCODING_MAPPING:
        return config, AutoModelForTextEncoding
    return config, AutoModel


def is_encoder_decoder(config) -> bool:
    """Whether a model of this config has a decoder as well."""
    return bool(getattr(config, 'is_encoder_decoder', False))


def _encoder_of(model: nn.Module, both: bool, name: str) -> nn.Module:
    """The encoder of a model that may have a decoder as well.

    Raises:
        ValueError: If it reads no words.
    """
    encoder = model.get_encoder() if both else model
    if not isinstance(encoder.get_input_embeddings(), nn.Embedding):
        raise ValueError(
            f'{name} is a {type(model).__name__}, which reads no words: name '
            'a text model, for instance roberta-base')
    return encoder


def make_model(fields: dict) -> nn.Module:
    """A text model with random weights.

    Args:
        fields (dict): Fields of its Hugging Face config; unchanged.

    Raises:
        ValueError: If 'model_type' is not among them, or names no text model.
    """
    from transformers import AutoConfig
    fields = dict(fields)
    if 'model_type' not in fields:
        raise ValueError("HFTextEncoder: config lacks 'model_type'")
    name = fields.pop('model_type')
    config, maker = text_part(AutoConfig.for_model(name, **fields))
    return _encoder_of(
        _from_config(config, maker), is_encoder_decoder(config),
        f'model_type={name!r}')


def _from_config(config, maker: type) -> nn.Module:
    """A model with random weights, without a pooler."""
    try:
        return maker.from_config(config, add_pooling_layer=False)
    except TypeError:  # DistilBERT and others have no pooler at all
        return maker.from_config(config)


# ---------------------------------------------------------------- loading
def load_pretrained(name: str,
                    in_checkpoint: bool = False) -> Tuple[nn.Module, object]:
    """A text model and its tokenizer, both checked.

    Args:
        name (str): As of :class:`HFTextEncoder`.
        in_checkpoint (bool): Whether a checkpoint of the grounder holds the
            weights; where it will be loaded
            (:func:`costa_mm.utils.building.weights_follow`) they are not
            read.

    Returns:
        tuple[nn.Module, PreTrainedTokenizerBase]: In float32, in eval mode.

    Raises:
        OSError: If files are missing or damaged.
        ValueError: If weights, config and tokenizer do not belong together,
            or weights are not finite.
    """
    from transformers import AutoConfig, AutoTokenizer
    path = resolve_model_name(name)
    follow = in_checkpoint and weights_will_follow()
    if not follow:
        check_files(path)
    with _quiet_transformers():
        try:
            tokenizer = AutoTokenizer.from_pretrained(path)
            config, maker = text_part(AutoConfig.from_pretrained(path))
            both = is_encoder_decoder(config)
            if follow:
                model, report = _from_config(config, maker).eval(), None
            else:
                model, report = _read_without_prefix(path, config, maker)
        except Exception as e:  # of half a dozen libraries
            raise OSError(
                f'the text encoder {name!r} could not be loaded, '
                'neither from a folder of this name nor from the hub or its '
                'cache. Put its files (config.json, tokenizer, weights) into '
                'a folder and give its path as text_encoder.model_name, or '
                'set pretrained=False with a config to train it from '
                f'nothing. Reason: {e}') from e
    if report is not None:
        _check_report(report, name, len(model.state_dict()))
        _check_finite(model, name, path)
    encoder = _encoder_of(model, both, repr(name))
    check_tokenizer(tokenizer, name,
                    encoder.get_input_embeddings().num_embeddings)
    return encoder, tokenizer


def _read_without_prefix(path: str, config,
                         maker: type) -> Tuple[nn.Module, Dict[str, list]]:
    """:func:`_read_model`, whatever stands before all names."""
    model, report = _read_model(path, config, maker)
    prefix = _common_prefix(report)
    if prefix:
        print_log(f'{path}: the prefix {prefix!r} of all tensors is ignored',
                  'current')
        model, report = _read_model(
            path, config, maker, key_mapping={f'^{re.escape(prefix)}': ''})
    return model, report


def _read_model(path: str, config, maker: type,
                **kwargs) -> Tuple[nn.Module, Dict[str, list]]:
    """The model and what transformers says of its tensors."""
    # transformers 5 takes the checkpoint's own dtype unless told; an unused
    # pooler would have no gradient and break DDP
    kwargs.update(
        config=config,
        dtype=torch.float32,
        output_loading_info=True,
        ignore_mismatched_sizes=True)
    try:
        return maker.from_pretrained(path, add_pooling_layer=False, **kwargs)
    except TypeError:  # DistilBERT and others have no pooler at all
        return maker.from_pretrained(path, **kwargs)


def _common_prefix(report: Dict[str, list]) -> Optional[str]:
    """What stands before every name, where nothing else is wrong.

    The name of another kind of model is no such prefix: 'roberta.' before
    tensors for a BERT says that they are not a BERT's.
    """
    from transformers import CONFIG_MAPPING
    missing = list(report['missing_keys'])
    unexpected = list(report['unexpected_keys'])
    if not missing or len(unexpected) < len(missing):
        return None
    prefixes = [k[:-len(missing[0])] for k in unexpected
                if k.endswith(f'.{missing[0]}')]
    for prefix in prefixes:
        kinds = {part.replace('-', '_') for part in CONFIG_MAPPING}
        if all(k.startswith(prefix) for k in unexpected) and \
                not kinds & set(prefix.split('.')):
            return prefix
    return None


def _check_report(report: Dict[str, list], name: str, total: int) -> None:
    """Every tensor of the encoder was there, in its size, and no other.

    Raises:
        ValueError: If not, with counts and examples.
    """
    lines = []
    missing = [k for k in report['missing_keys'] if not _UNUSED.search(k)]
    extra = [
        k for k in report['unexpected_keys']
        if not _UNUSED.search(k) and not _OTHER_PARTS.match(k)
    ]
    sizes = [
        f'{key} is {tuple(found)}, not {tuple(wanted)}'
        for key, found, wanted in sorted(report['mismatched_keys'])
    ]
    for label, keys in (('missing', missing), ('unexpected', extra),
                        ('of another size than config.json says', sizes),
                        ('unreadable', report.get('error_msgs', []))):
        if keys:
            lines.append(f'{len(keys)} {label} ({_examples(keys)})')
    if lines:
        raise ValueError(
            f'the weights of the text encoder {name!r} are not those of its '
            f'config.json: of {total} tensors {"; ".join(lines)}. Take '
            'config.json and weights of one model')


def _examples(keys: List[str]) -> str:
    """The first three."""
    keys = sorted(map(str, keys))
    return ', '.join(keys[:3]) + (', ...' if len(keys) > 3 else '')


def _check_finite(model: nn.Module, name: str, path: str) -> None:
    """No weight is NaN or infinite.

    Raises:
        ValueError: If one is, naming tensors and file.
    """
    bad = [
        key for key, value in model.state_dict().items()
        if not value.is_meta and not value.isfinite().all()
    ]
    if bad:
        raise ValueError(
            f'the text encoder {name!r}: {len(bad)} tensors hold NaN or '
            f'infinity ({_examples(bad)}), in {file_of(sorted(bad)[0], path)}')


@contextmanager
def loading_from_hub(name: str, what: str) -> Iterator[None]:
    """Load a model of transformers quietly; say which one if that fails.

    Args:
        name (str): Hub name or folder.
        what (str): What it is, for the message.

    Raises:
        OSError: If it could not be loaded.
    """
    with _quiet_transformers():
        try:
            yield
        except Exception as e:  # of half a dozen libraries
            raise OSError(
                f'{what} {name!r} could not be loaded, neither from a folder '
                'of this name nor from the Hugging Face hub or its cache. On '
                'a machine without network put its files into a folder and '
                f'give the path. Reason: {first_line(e)}') from e
