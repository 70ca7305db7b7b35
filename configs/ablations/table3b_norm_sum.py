# Table 3b, sum with feature normalisation: the main config.
_base_ = '../costa_hcstvg.py'
