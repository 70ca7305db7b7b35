# TubeDETR on HC-STVG v2, published settings (resolution 352, stride 4):
#   tools/dist_train.sh configs/baselines/tubedetr_hcstvg_v2.py 8
_base_ = './tubedetr_hcstvg.py'
data_root = 'data/hcstvg_v2/'
train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/train_v2.json',
        filter_cfg=None))
# figures are reported on the validation split
test_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/val_v2.json',
        filter_cfg=None))
max_epochs = 20
param_scheduler = dict(
    schedules=dict(rest=dict(milestones=[10])), end=max_epochs)
train_cfg = dict(max_epochs=max_epochs)
