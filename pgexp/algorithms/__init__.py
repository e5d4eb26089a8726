"""Policy-gradient algorithms: collection of batches, advantages, updates, and evaluation."""
