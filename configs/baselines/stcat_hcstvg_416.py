# STCAT on HC-STVG v1 at resolution 416, published settings:
#   tools/dist_train.sh configs/baselines/stcat_hcstvg_416.py 8
_base_ = './stcat_hcstvg.py'
resize = dict(
    type='ResizeClip', short_side=(320, 352, 384, 416), max_size=720)
train_pipeline = _base_.train_pipeline
train_pipeline[5].branches[0] = [resize]
train_pipeline[5].branches[1][2] = resize
test_pipeline = _base_.test_pipeline
test_pipeline[3].short_side = 416
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
