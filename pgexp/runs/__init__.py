"""Run folders: files, run log, manifest, checkpoint, policy, provenance and status."""
