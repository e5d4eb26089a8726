"""Execution: jobs are queued, trained by workers, and recorded."""
