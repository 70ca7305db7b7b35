# What CG-STVG and TA-STVG change in STCAT's pipelines.

# height 420, width at most 588: 16:9 is squeezed, and published weights have
# seen nothing else
squeeze = dict(type='SqueezeClip', height=420, max_ratio=1.4)
# p 0.7 here; left and right change places in the words too
flip = dict(type='FlipWithText', prob=0.7)
# what the published code means to do and does not: its random resize keeps
# the size and its crop is never taken.  To train as it does, replace the
# transform `augment` of a train_pipeline by `squeeze`.
squeeze_randomly = dict(
    type='SqueezeClip', height=(324, 356, 388, 420), max_ratio=1.4)
augment = dict(
    type='RandomBranch',
    branches=[
        [squeeze_randomly],
        [
            dict(type='ResizeClip', short_side=(400, 500, 600)),
            dict(
                type='RandomSizeCrop',
                min_size=384,
                max_size=600,
                keep='part',
                tries=50), squeeze_randomly
        ],
    ])
