# Own data with tubes that tools/propose_tubes.py has proposed; testing only.
test_pipeline = [
    dict(type='SampleFrames', mode='uniform', num_frames=32),
    dict(type='LoadVideoFrames'),
    dict(type='LoadTubeAnnotations'),
    dict(type='LoadTubeProposals', root='proposals'),
    dict(type='ResizeClip', short_side=256, max_size=512),
    dict(type='PackSTVGInputs', video_keys=('tubes', 'tube_scores')),
]
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='EpochSampler', shuffle=False, round_up=False),
    dataset=dict(
        type='STVGDataset',
        data_root='data/mine/',
        ann_file='test.json',
        data_prefix=dict(video='videos'),
        pipeline=test_pipeline,
        test_mode=True))
test_evaluator = dict(type='STVGMetric')
test_cfg = dict()
