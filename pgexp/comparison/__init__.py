"""Comparison of runs: from an MLflow store or folders through frames and statistics to tables, figures and a report."""
