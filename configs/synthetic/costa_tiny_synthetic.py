# CoSTA-tiny on the synthetic benchmark, level easy, on two CPU cores; what
# tools/quickstart.sh trains.
_base_ = [
    '../_base_/models/costa_tiny.py', '../_base_/datasets/synthetic.py',
    '../_base_/schedules/costa_tiny.py', '../_base_/default_runtime.py'
]
