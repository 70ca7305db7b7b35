# The example method on films of its own format; see ../README.md.
#   PYTHONPATH=projects/example_method python tools/train.py \
#       projects/example_method/configs/frame_token_films.py
_base_ = '../../../configs/synthetic/costa_tiny_synthetic.py'
custom_imports = dict(imports=['example_method'])

data_root = 'data/films/'
model = dict(
    backbone=dict(connection=dict(type='GatedConnection')),
    text_encoder=dict(
        _delete_=True, type='WordGRUEncoder', out_channels=64, dropout=0.),
    head=dict(
        _delete_=True,
        type='FrameTokenHead',
        embed_dims=64,
        loss_span=dict(type='SpanKLLoss', sigma=1., loss_weight=5.),
        loss_spread=dict(type='BoxSpreadLoss', loss_weight=0.1)))

films = dict(_delete_=True, type='FilmDataset', data_root=data_root)
train_dataloader = dict(
    dataset=dict(
        films,
        ann_file='films_train.json',
        data_prefix=dict(video='videos/train'),
        pipeline=_base_.train_pipeline))
val_dataloader = dict(
    dataset=dict(
        films,
        ann_file='films_val.json',
        data_prefix=dict(video='videos/val'),
        pipeline=_base_.test_pipeline,
        test_mode=True))
test_dataloader = dict(
    dataset=dict(
        films,
        ann_file='films_test.json',
        data_prefix=dict(video='videos/test'),
        pipeline=_base_.test_pipeline,
        test_mode=True))

protocols = ['paper', dict(type='EveryThirdFrame', thresholds=(0.5, 0.7))]
val_evaluator = dict(protocol=protocols)
test_evaluator = dict(protocol=protocols)
