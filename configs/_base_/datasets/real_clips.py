# A handful of videos with HC-STVG v1 annotations in data/real_clips/, the
# file real_clips.json beside them; trained and tested on the same ones.
data_root = 'data/real_clips/'
pipeline = [
    dict(type='SampleFrames', mode='uniform', num_frames=16),
    dict(type='LoadVideoFrames'),
    dict(type='LoadTubeAnnotations'),
    dict(type='ResizeClip', scale=(128, 96)),
    dict(type='PackSTVGInputs'),
]
dataset = dict(
    type='HCSTVGDataset',
    data_root=data_root,
    ann_file='real_clips.json',
    data_prefix=dict(video=''),
    pipeline=pipeline)
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='EpochSampler', shuffle=True),
    dataset=dataset)
test_dataset = dict(dataset, test_mode=True)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(type='EpochSampler', shuffle=False, round_up=False),
    dataset=test_dataset)
test_dataloader = val_dataloader
val_evaluator = dict(type='STVGMetric', per_factor=False)
test_evaluator = val_evaluator
