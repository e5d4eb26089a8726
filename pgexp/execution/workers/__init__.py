"""Workers that train runs: processes of this machine, tasks of a Ray cluster, Slurm jobs."""
