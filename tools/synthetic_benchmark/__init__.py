# Copyright (c) costa_mm authors. All rights reserved.
"""Methods compared under one frozen protocol (tools/run_benchmark.py)."""
from .plots import write_plots
from .protocol import (BenchmarkProtocol, ProtocolError, Scale, check_data,
                       config_digest, make_data, resize_model)
from .results import (SeedResult, collect_results, mean_and_deviation,
                      read_curve, summarize_results)
from .runs import Executor, Run, RunFailed, Stopper, execute_runs, make_runs
from .tables import csv_report, markdown_report, write_report

__all__ = [
    'BenchmarkProtocol', 'Executor', 'ProtocolError', 'Run', 'RunFailed',
    'Scale', 'SeedResult', 'Stopper', 'check_data', 'collect_results',
    'config_digest', 'csv_report', 'execute_runs', 'make_data', 'make_runs',
    'markdown_report', 'mean_and_deviation', 'read_curve', 'resize_model',
    'summarize_results', 'write_plots', 'write_report'
]
