# TubeDETR on HC-STVG v1 from ImageNet's weights in place of MDETR's,
# published settings:
#   tools/dist_train.sh configs/baselines/tubedetr_hcstvg_imagenet.py 8
_base_ = './tubedetr_hcstvg.py'
load_from = [dict(weights='resnet101_imagenet', prefix='backbone.spatial.')]
optim_wrapper = dict(
    paramwise_cfg=dict(groups=dict(text=dict(lr=1e-5))))
# the first drop would come after 70 epochs
max_epochs = 70
param_scheduler = dict(
    schedules=dict(rest=dict(milestones=[])), end=max_epochs)
train_cfg = dict(max_epochs=max_epochs)
