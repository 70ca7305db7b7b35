# TubeDETR on VidSTG at resolution 224 with stride 2, published settings:
#   tools/dist_train.sh configs/baselines/tubedetr_vidstg_k2_res224.py 8
_base_ = './tubedetr_vidstg.py'
stride = 2
model = dict(backbone=dict(grad_stride=stride), neck=dict(stride=stride))
max_size = 373  # 5/3 of the resolution
resize = dict(
    type='ResizeClip', short_side=(128, 160, 192, 224), max_size=max_size)
train_pipeline = _base_.tubedetr_train_pipeline
train_pipeline[4].branches[0] = [resize]
train_pipeline[4].branches[1] = [
    dict(type='ResizeClip', short_side=(100, 150, 200)),
    dict(
        type='RandomSizeCrop',
        min_size=96,
        max_size=max_size,
        keep='whole',
        tries=100), resize
]
test_pipeline = _base_.tubedetr_test_pipeline
test_pipeline[3].update(short_side=224, max_size=max_size)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
