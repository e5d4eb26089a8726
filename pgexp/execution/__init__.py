"""Execution of jobs: queue, workers, assembly, training, recording, and what builds on recorded runs."""
