# CG-STVG without its context, the first row of the paper's ablation:
#   tools/dist_train.sh configs/baselines/cgstvg_hcstvg_no_context.py 8
_base_ = './cgstvg_hcstvg.py'
model = dict(head=dict(context=False))
