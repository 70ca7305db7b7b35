# Copyright (c) costa_mm authors. All rights reserved.
"""Names of ViLBERT's checkpoints as those of STVGBert here."""
from .published_names import Rules


def _parts(prefix: str, **names: str) -> Rules:
    """Rules for parts of a layer, '__' for a dot."""
    return tuple((rf'({prefix})\.{old.replace("__", ".")}\.', rf'\1.{new}.')
                 for old, new in names.items())


_BERT_LAYER: Rules = _parts(
    r'neck\.\w+_layers\.\d+',
    attention__self__query='self_attn.q_proj',
    attention__self__key='self_attn.k_proj',
    attention__self__value='self_attn.v_proj',
    attention__output__dense='self_attn.out_proj',
    attention__output__LayerNorm='norm1',
    intermediate__dense='ffn.layers.0.0',
    output__dense='ffn.layers.1',
    output__LayerNorm='norm2')

# 1 and v are vision, 2 and t text; words read vision's keys and values
_CO_LAYER: Rules = _parts(
    r'neck\.co_layers\.\d+',
    biattention__query1='vision_attn.q_proj',
    biattention__key2='vision_attn.k_proj',
    biattention__value2='vision_attn.v_proj',
    biOutput__dense1='vision_attn.out_proj',
    biattention__query2='text_attn.q_proj',
    biattention__key1='text_attn.k_proj',
    biattention__value1='text_attn.v_proj',
    biOutput__dense2='text_attn.out_proj',
    biOutput__LayerNorm1='vision_norm1',
    biOutput__LayerNorm2='text_norm1',
    v_intermediate__dense='vision_ffn.layers.0.0',
    v_output__dense='vision_ffn.layers.1',
    v_output__LayerNorm='vision_norm2',
    t_intermediate__dense='text_ffn.layers.0.0',
    t_output__dense='text_ffn.layers.1',
    t_output__LayerNorm='text_norm2')


def vilbert_rules(num_lower: int = 6, num_upper: int = 6) -> Rules:
    """Rules for a ViLBERT whose upper text layers alternate with the rest.

    Args:
        num_lower (int): Text layers below, which are the text encoder's.
        num_upper (int): Text layers above, which are the neck's.
    """
    upper = tuple((rf'bert\.encoder\.layer\.{num_lower + k}\.',
                   f'neck.text_layers.{k}.') for k in range(num_upper))
    return (
        # heads of the pre-training, and poolers
        (r'cls\.', None),
        (r'bert\.[tv]_pooler\.', None),
        # of regions, in five numbers; STVGBert's own has six, of cells
        (r'bert\.v_embeddings\.image_location_embeddings\.', None),
        (r'bert\.v_embeddings\.image_location_embeddings2\.',
         'neck.location_proj.'),
        (r'bert\.v_embeddings\.image_embeddings\.', 'neck.input_proj.'),
        (r'bert\.v_embeddings\.LayerNorm\.', 'neck.input_norm.'),
        (r'bert\.embeddings\.position_ids$', None),
        (r'bert\.embeddings\.', 'text_encoder.model.embeddings.'),
        (r'bert\.encoder\.v_layer\.', 'neck.vision_layers.'),
        (r'bert\.encoder\.c_layer\.', 'neck.co_layers.'),
        # never used by the published code
        (r'neck\.co_layers\.\d+\.biOutput\.q_dense[12]\.', None),
        *upper,
        (r'bert\.encoder\.layer\.', 'text_encoder.model.encoder.layer.'),
        *_BERT_LAYER,
        *_CO_LAYER,
    )


VILBERT: Rules = vilbert_rules()
