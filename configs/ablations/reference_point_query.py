# Object part: 2D reference points (Conditional DETR) instead of 4D anchors;
# the paper names this variant and gives no figures for it.
_base_ = '../costa_hcstvg.py'
model = dict(head=dict(object_query=dict(type='ReferencePointQuery')))
