# CoSTA-tiny fitted to a handful of real clips with HC-STVG v1 annotations: a
# check that real videos, boxes and sentences flow through correctly, not a
# model that generalises. Train and test use the same folder, data/real_clips/
# (put or link it there), with real_clips.json beside the videos:
#   tools/train.py configs/real_clips/costa_tiny_real_clips.py
_base_ = [
    '../_base_/models/costa_tiny.py', '../_base_/default_runtime.py'
]

data_root = 'data/real_clips/'
model = dict(
    head=dict(object_query=dict(prior=(0.5, 0.5, 0.3, 0.6))))

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

max_iters = 400
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-4),
    clip_grad=dict(max_norm=1.0))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=30),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=max_iters // 2,
        end=max_iters,
        eta_min=1e-5),
]
train_cfg = dict(by_epoch=False, max_iters=max_iters, val_interval=200)
val_cfg = dict()
test_cfg = dict()
default_hooks = dict(
    checkpoint=dict(interval=200, by_epoch=False),
    logger=dict(interval=20, log_metric_by_epoch=False))
log_processor = dict(by_epoch=False)
