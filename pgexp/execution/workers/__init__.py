"""Workers that train runs: processes on this machine, tasks of a Ray cluster, or Slurm jobs."""
