"""Comparison: from the MLflow store through frames and statistics to the table and the figure."""
