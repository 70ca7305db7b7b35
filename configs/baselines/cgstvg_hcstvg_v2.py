# CG-STVG on HC-STVG v2, published settings:
#   tools/dist_train.sh configs/baselines/cgstvg_hcstvg_v2.py 8
_base_ = './cgstvg_hcstvg.py'
data_root = 'data/hcstvg_v2/'
model = dict(head=dict(context_giou=0.7))
train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/train_v2.json',
        filter_cfg=None))
test_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/val_v2.json',
        filter_cfg=None))
