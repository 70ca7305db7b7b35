# TubeDETR on VidSTG from ImageNet's weights in place of MDETR's, published
# settings:
#   tools/dist_train.sh configs/baselines/tubedetr_vidstg_imagenet.py 8
_base_ = './tubedetr_vidstg.py'
load_from = [dict(weights='resnet101_imagenet', prefix='backbone.spatial.')]
model = dict(head=dict(loss_span=dict(loss_weight=5.)))
optim_wrapper = dict(
    optimizer=dict(lr=2e-5),
    paramwise_cfg=dict(groups=dict(text=dict(lr=2e-5))))
# the first drop would come after 20 epochs
max_epochs = 20
param_scheduler = dict(end=max_epochs)
train_cfg = dict(max_epochs=max_epochs)
