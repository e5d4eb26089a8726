"""Where packs are trained: in processes here, on a Ray cluster, or on Slurm."""
