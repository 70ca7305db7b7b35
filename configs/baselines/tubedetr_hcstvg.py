# TubeDETR on HC-STVG v1, published settings (resolution 352, stride 4):
#   tools/dist_train.sh configs/baselines/tubedetr_hcstvg.py 8
_base_ = [
    './models/tubedetr_r101.py', '../_base_/datasets/hcstvg_v1.py',
    '../_base_/default_runtime.py'
]
# MDETR's pretrained weights, written by
#   tools/model_converters/mdetr_to_costa_mm.py SRC DST --method tubedetr
load_from = 'weights/mdetr_r101_for_tubedetr.pth'

# 5 frames/s, at most 200 of them, in training and testing; the final frame
# is no candidate; the sentence stays as it is written
sample = dict(
    type='SampleFrames', mode='fps', fps=5., max_frames=200, skip_final=True)
max_size = 587  # 5/3 of the resolution
resize = dict(
    type='ResizeClip',
    short_side=(224, 256, 288, 320, 352),
    max_size=max_size)
# no flip: the published code avoids it, since sentences name left and right
train_pipeline = [
    sample,
    dict(type='RandomTemporalCrop', prob=0.5, level='frames'),
    dict(type='LoadVideoFrames'),
    dict(type='LoadTubeAnnotations'),
    # one of two, p 0.5 each; a crop keeps every box whole
    dict(
        type='RandomBranch',
        branches=[
            [resize],
            [
                dict(type='ResizeClip', short_side=(200, 250, 300)),
                dict(
                    type='RandomSizeCrop',
                    min_size=192,
                    max_size=max_size,
                    keep='whole',
                    tries=100), resize
            ],
        ]),
    dict(type='PackSTVGInputs'),
]
test_pipeline = [
    sample,
    dict(type='LoadVideoFrames'),
    dict(type='LoadTubeAnnotations'),
    dict(type='ResizeClip', short_side=352, max_size=max_size),
    dict(type='PackSTVGInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_evaluator = dict(
    type='STVGMetric', protocol=['paper', 'tubedetr_hcstvg'])

# HC-STVG v2: 20 epochs
max_epochs = 40
optim_wrapper = dict(
    type='OptimWrapper',
    constructor='GroupOptimWrapperConstructor',
    optimizer=dict(
        type='AdamW', lr=5e-5, weight_decay=1e-4, fused=True),
    clip_grad=dict(max_norm=0.1, norm_type=2),
    paramwise_cfg=dict(
        groups=dict(
            video=dict(prefixes=('backbone.', ), lr=1e-5),
            # the projection behind it goes with the rest, as published
            text=dict(prefixes=('text_encoder.model.', ), lr=5e-5))))
# text encoder: 1 % warm-up, then linearly to 0;
# all else: a tenth every 10 epochs
param_scheduler = dict(
    type='GroupwiseLR',
    schedules=dict(
        text=dict(warmup=0.01, to_zero=True),
        rest=dict(milestones=[10, 20, 30], gamma=0.1)),
    end=max_epochs,
    convert_to_iter_based=True)
train_cfg = dict(by_epoch=True, max_epochs=max_epochs)

# averaged weights, decay 0.9998 (`--ema` of the published code)
custom_hooks = [
    dict(type='SaveOnSignalHook'),
    dict(type='NonFiniteLossHook'),
    dict(type='STVGEMAHook', momentum=0.0002),
]
default_hooks = dict(checkpoint=dict(save_best=None, max_keep_ckpts=2))
