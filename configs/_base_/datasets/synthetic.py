# The synthetic benchmark as tools/dataset_converters/make_synthetic_stvg.py
# writes it: 48 frames of 96 x 96 pixels, of which 16 are used at 64 x 64.
data_root = 'data/synthetic_easy/'
num_frames = 16
scale = (64, 64)

train_pipeline = [
    dict(type='SampleFrames', mode='uniform', num_frames=num_frames),
    dict(type='LoadVideoFrames'),
    dict(type='LoadTubeAnnotations'),
    dict(type='FlipWithText', prob=0.5),
    dict(type='ResizeClip', scale=scale),
    dict(type='PackSTVGInputs'),
]
test_pipeline = [
    dict(type='SampleFrames', mode='uniform', num_frames=num_frames),
    dict(type='LoadVideoFrames'),
    dict(type='LoadTubeAnnotations'),
    dict(type='ResizeClip', scale=scale),
    dict(type='PackSTVGInputs'),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='EpochSampler', shuffle=True),
    dataset=dict(
        type='HCSTVGDataset',
        data_root=data_root,
        ann_file='train.json',
        data_prefix=dict(video='videos/train'),
        pipeline=train_pipeline))
unshuffled = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=False,
    drop_last=False,
    sampler=dict(type='EpochSampler', shuffle=False, round_up=False))
val_dataloader = dict(
    unshuffled,
    dataset=dict(
        type='HCSTVGDataset',
        data_root=data_root,
        ann_file='val.json',
        data_prefix=dict(video='videos/val'),
        pipeline=test_pipeline,
        test_mode=True))
test_dataloader = dict(
    unshuffled,
    dataset=dict(
        type='HCSTVGDataset',
        data_root=data_root,
        ann_file='test.json',
        data_prefix=dict(video='videos/test'),
        factors_file='test_factors.json',
        pipeline=test_pipeline,
        test_mode=True))

val_evaluator = dict(type='STVGMetric', per_factor=False)
test_evaluator = dict(type='STVGMetric')
