# TA-STVG on HC-STVG v2, published settings:
#   tools/dist_train.sh configs/baselines/tastvg_hcstvg_v2.py 32
_base_ = './tastvg_hcstvg.py'
data_root = 'data/hcstvg_v2/'
model = dict(head=dict(loss_span=dict(loss_weight=10.)))
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
optim_wrapper = dict(
    optimizer=dict(lr=3e-4),
    paramwise_cfg=dict(groups=dict(video=dict(lr=5e-6))))
